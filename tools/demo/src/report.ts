import type { GreedyCheck } from './greedy-check.js'
import type { Estimate, SelectionReport } from './selection-report.js'

/** What `--json` writes. alpha = mean over positions of sum min(p, q), raw distributions, live draft of that moment. */
export interface DemoReport {
  readonly failedRequests: number
  readonly completedRequests: number
  /** Greedy answers compared with plain decoding, token by token. */
  readonly losslessChecked: number
  readonly losslessMismatches: number
  /** Answers that parted where the target's two best logits were closer than its own rounding: than `tieGap`. */
  readonly nearTies: number
  readonly tieGap: number
  /** On a target whose weights are rounded: greedy tokens against the distributions that verified them. */
  readonly greedy?: GreedyCheck
  /** From a trained draft, with which the frozen one is then the same in every phase. */
  readonly startedWarm: boolean
  readonly swaps: number
  readonly phases: readonly PhaseReport[]
  readonly windows: WindowCounts
  readonly keptShare: number
  readonly selection: SelectionReport
  /** Greedy decoding of the same prompts, by one client, in turn. */
  readonly tokensPerSecond: {
    readonly plain: number
    readonly speculative: number
    readonly byDomain: readonly DomainSpeed[]
  }
  readonly seconds: number
}

export interface PhaseReport {
  readonly name: string
  readonly alphaStart: number
  readonly alphaWorst: number
  readonly alphaEnd: number
  /** The draft as it was when the phase began, on the windows of the phase's end. */
  readonly frozenAlphaEnd: number
  /** Mean acceptance lengths: of what was proposed, so they depend on what pays on this machine. NaN when nothing was proposed. */
  readonly acceptanceLengthStart: number
  readonly acceptanceLengthWorst: number
  readonly acceptanceLengthEnd: number
  readonly swaps: number
  readonly tokens: number
}

export interface DomainSpeed {
  readonly domain: string
  readonly plain: number
  readonly speculative: number
  /** Accepted over proposed tokens; NaN when nothing was proposed. */
  readonly acceptanceRate: number
  /** 1 + accepted / rounds with a proposal. */
  readonly acceptanceLength: number
  /** Near 0: speculation was off. */
  readonly proposedPerToken: number
}

export interface WindowCounts {
  readonly captured: number
  readonly shed: number
  readonly scored: number
  readonly kept: number
  readonly control: number
  readonly evaluation: number
  readonly trained: number
}

/** Why the demo is not a success; empty when it is. */
export function failures(report: DemoReport): string[] {
  const found: string[] = []
  const { windows } = report
  if (report.completedRequests === 0) found.push('no request was answered')
  if (report.failedRequests > 0) found.push(`${report.failedRequests} requests failed`)
  if (report.losslessChecked === 0) found.push('no answer could be compared with plain decoding')
  if (report.losslessMismatches > 0) found.push(`${report.losslessMismatches} answers were changed by speculation`)
  const { notBest = 0, tokens = 0 } = report.greedy ?? {}
  if (notBest > 0)
    found.push(`${notBest} of ${tokens} greedy tokens were not the most probable one where they were verified`)
  const leastSwaps = report.startedWarm ? 1 : 3
  if (report.swaps < leastSwaps) found.push(`only ${report.swaps} drafts were swapped in; ${leastSwaps} are expected`)
  if (windows.scored < windows.captured)
    found.push(`${windows.captured - windows.scored} captured windows were not scored`)
  for (const phase of report.startedWarm ? report.phases : []) {
    if (phase.alphaEnd < phase.frozenAlphaEnd - LEAST_LOSS) {
      found.push(`phase ${phase.name}: the live draft (${num(phase.alphaEnd)}) fell below the one it began with`)
    }
  }
  for (const phase of report.startedWarm ? report.phases.slice(-1) : report.phases) {
    if (!(phase.alphaEnd > phase.alphaWorst)) {
      found.push(`phase ${phase.name}: alpha did not improve (${num(phase.alphaWorst)} to ${num(phase.alphaEnd)})`)
    }
    if (!(phase.alphaEnd > phase.frozenAlphaEnd)) {
      const frozen = num(phase.frozenAlphaEnd)
      found.push(
        `phase ${phase.name}: the live draft (${num(phase.alphaEnd)}) is no better than the frozen one (${frozen})`,
      )
    }
  }
  return found
}

/** What a warm lineage must not lose where it had nothing to learn. */
const LEAST_LOSS = 0.01

/** The table a person reads at the end. */
export function reportTable(report: DemoReport): string {
  const { windows, tokensPerSecond } = report
  const phases = table([
    [
      'phase',
      'alpha start',
      'worst',
      'end',
      'frozen at end',
      'acceptance length start',
      'worst',
      'end',
      'swaps',
      'tokens',
    ],
    ...report.phases.map((p) => [
      p.name,
      num(p.alphaStart),
      num(p.alphaWorst),
      num(p.alphaEnd),
      num(p.frozenAlphaEnd),
      num(p.acceptanceLengthStart, 2),
      num(p.acceptanceLengthWorst, 2),
      num(p.acceptanceLengthEnd, 2),
      String(p.swaps),
      String(p.tokens),
    ]),
  ])
  const streams = table([
    ['windows', 'captured', 'shed', 'scored', 'kept', 'control', 'evaluation', 'trained', 'kept share'],
    ['', ...Object.values(windows).map(String), percent(report.keptShare)],
  ])
  const speed = table([
    ['greedy tokens/s, one client', 'plain', 'speculative', 'ratio', 'acceptance rate', 'length'],
    ['all', ...speedCells(tokensPerSecond)],
    ...tokensPerSecond.byDomain.map((s) => [
      s.domain,
      ...speedCells(s),
      num(s.acceptanceRate, 2),
      num(s.acceptanceLength, 2),
    ]),
  ])
  const ties =
    report.nearTies > 0
      ? `, ${report.nearTies} parted at a tie within rounding (logits closer than ${report.tieGap.toPrecision(2)})`
      : ''
  const { greedy } = report
  const best = greedy
    ? `; ${greedy.tokens - greedy.notBest} of ${greedy.tokens} greedy tokens are the best of the distribution that verified them`
    : ''
  const requests =
    `${report.completedRequests} requests answered, ${report.failedRequests} failed; ` +
    `${report.losslessChecked} greedy answers compared with plain decoding: ${report.losslessMismatches} changed${ties}${best}; ` +
    `${report.swaps} drafts swapped in; ${num(report.seconds, 0)} s`
  return [phases, streams, selectionText(report.selection), speed, requests].join('\n\n')
}

function selectionText({ rule, gains, rules, bins }: SelectionReport): string {
  if (gains.length + rules.length + bins.length === 0) return `policy in force: ${rule}; nothing was measured yet`
  const measured = table([
    [`policy in force: ${rule}`, 'gain', '95 % interval', 'turns'],
    ...gains.map((gain) => [`${gain.name} over random`, ...gainCells(gain)]),
    ...rules.map((one) => [`steps by ${one.name} over random`, ...gainCells(one), String(one.turns)]),
  ])
  const weights = bins.map(({ tokens, weights: of }) => `${tokens}: ${of.map((weight) => num(weight, 2)).join(' ')}`)
  const closedForm = weights.length === 0 ? 'as the scorer has them' : weights.join(', ')
  return (
    `${measured}\ngain of the closed form in alpha, of gradient steps in alpha per 10,000 positions; weights in the closed ` +
    `form by effective tokens: ${closedForm}`
  )
}

const gainCells = ({ gain, standardError }: Estimate): string[] => [
  num(gain, 4),
  `${num(gain - INTERVAL * standardError, 4)} to ${num(gain + INTERVAL * standardError, 4)}`,
]

/** Standard errors on either side of a mean that 95 % lie within. */
const INTERVAL = 1.96

const speedCells = ({ plain, speculative }: { plain: number; speculative: number }): string[] => [
  num(plain, 1),
  num(speculative, 1),
  num(speculative / plain, 2),
]

export const num = (value: number, digits = 3): string => (Number.isFinite(value) ? value.toFixed(digits) : '-')
export const percent = (share: number): string => (Number.isFinite(share) ? `${(100 * share).toFixed(0)} %` : '-')

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')
  return [line(rows[0]!), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.slice(1).map(line)].join('\n')
}
