import type { RequestFigures, SwapStep } from './across-swaps.js'
import type { GapFigures } from '../live/token-gaps.js'

export interface SwapReport extends RequestFigures {
  readonly swaps: number
  /** Why versions did not go live, where some did not. */
  readonly notLive: readonly string[]
  readonly failedRequests: number
  /** The first few. */
  readonly failures: readonly string[]
  /** 99th percentile of the time a token takes beside a swap over that far from one. */
  readonly gapP99Ratio: number
  readonly gaps: { readonly inside: GapFigures; readonly outside: GapFigures }
  readonly gapsByStep: readonly ({ readonly step: SwapStep } & GapFigures)[]
  /** Of serving, from the second tenth of the time to the last. */
  readonly rssGrowthMiB: number
  readonly heapGrowthMiB: number
  readonly swapMs: { readonly p50: number; readonly p99: number }
}

const WHILE: Readonly<Record<SwapStep, string>> = {
  verified: 'being verified',
  shadow: 'in shadow',
  canary: 'in canary',
  live: 'just live',
}

export function printSwaps(report: SwapReport): void {
  const { gaps, firstTokenP99Ms, swapMs } = report
  const cells = (values: readonly (string | number)[]): string =>
    values.map((value) => (typeof value === 'number' ? value.toFixed(1) : value).padStart(13)).join('')
  console.log(`${report.swaps} swaps, announced to live in ${swapMs.p50} ms (p99 ${swapMs.p99} ms)`)
  for (const why of report.notLive) console.log(`  not live: ${why}`)
  console.log(`\n${'ms'.padEnd(18)}${cells(['token p50', 'p99', 'longest wait', 'first p99', 'tokens'])}`)
  for (const side of ['inside', 'outside'] as const) {
    const { p50Ms, p99Ms, maxMs, tokens } = gaps[side]
    const name = side === 'inside' ? 'beside a swap' : 'far from one'
    console.log(name.padEnd(18) + cells([p50Ms, p99Ms, maxMs, firstTokenP99Ms[side], String(tokens)]))
  }
  for (const { step, p50Ms, p99Ms, maxMs, tokens } of report.gapsByStep)
    console.log(`  ${WHILE[step]}`.padEnd(18) + cells([p50Ms, p99Ms, maxMs, '', String(tokens)]))
  console.log(`ratio of p99: ${report.gapP99Ratio.toFixed(2)}`)
  const { requests, acrossSwaps, failedRequests, restarted, cutShort } = report
  console.log(
    `\n${requests} answers, ${acrossSwaps} of them across a swap; ${failedRequests} failed, ${restarted} began again, ${cutShort} were cut short`,
  )
  for (const failure of report.failures) console.log(`  failed: ${failure}`)
  const [rss, heap] = [report.rssGrowthMiB, report.heapGrowthMiB].map((value) => value.toFixed(1))
  console.log(`serving's memory grew by ${rss} MiB, its heap by ${heap} MiB`)
}
