/** What swaps did to the requests that were under way. */
import type { StreamedCompletion } from '../live/streamed-completion.js'
import { quantile } from '../statistics.js'
import type { Span } from '../live/token-gaps.js'

/** When a version was announced, entered shadow and canary, and when new requests were first given it. */
export interface Swap {
  readonly version: number
  readonly announcedMs: number
  readonly shadowMs: number
  readonly canaryMs: number
  readonly liveMs: number
}

/** What serving does meanwhile: reads, builds and probes the draft; compares it; lets some requests try it; watches it. */
export const swapSteps = ['verified', 'shadow', 'canary', 'live'] as const
export type SwapStep = (typeof swapSteps)[number]

/** After a version is live its first requests are still beside the swap. */
const AFTER_LIVE_MS = 300

export function spanOf({ announcedMs, liveMs }: Swap): Span {
  return { fromMs: announcedMs, toMs: liveMs + AFTER_LIVE_MS }
}

export function stepOf({ announcedMs, shadowMs, canaryMs, liveMs }: Swap, step: SwapStep): Span {
  const times = [announcedMs, shadowMs, canaryMs, liveMs, liveMs + AFTER_LIVE_MS]
  const at = swapSteps.indexOf(step)
  return { fromMs: times[at]!, toMs: times[at + 1]! }
}

export interface RequestFigures {
  readonly requests: number
  /** That ran while a version went live. */
  readonly acrossSwaps: number
  /** Ended otherwise than by their length or a stop: must be none. */
  readonly cutShort: number
  /** On more than one version, or on one that was announced after they began, as one that began again would: must be none. */
  readonly restarted: number
  readonly firstTokenP99Ms: { readonly inside: number; readonly outside: number }
}

/** All times are of one clock, in milliseconds. */
export function requestFigures(completions: readonly StreamedCompletion[], swaps: readonly Swap[]): RequestFigures {
  const spans = swaps.map(spanOf)
  const announcedMs = new Map(swaps.map(({ version, announcedMs: atMs }) => [String(version), atMs]))
  const isAcross = ({ startedMs, arrivals }: StreamedCompletion): boolean =>
    swaps.some(({ liveMs }) => liveMs > startedMs && liveMs < arrivals.at(-1)!.atMs)
  const isRestarted = ({ startedMs, draftVersion }: StreamedCompletion): boolean =>
    draftVersion.includes(',') || (announcedMs.get(draftVersion) ?? 0) > startedMs
  const beganInside = ({ startedMs }: StreamedCompletion): boolean =>
    spans.some(({ fromMs, toMs }) => startedMs >= fromMs && startedMs <= toMs)
  const firstTokenP99 = (some: readonly StreamedCompletion[]): number =>
    quantile(
      some.map(({ startedMs, arrivals }) => arrivals[0]!.atMs - startedMs),
      0.99,
    )
  return {
    requests: completions.length,
    acrossSwaps: completions.filter(isAcross).length,
    cutShort: completions.filter(({ finish }) => finish !== 'length' && finish !== 'stop').length,
    restarted: completions.filter(isRestarted).length,
    firstTokenP99Ms: {
      inside: firstTokenP99(completions.filter(beganInside)),
      outside: firstTokenP99(completions.filter((one) => !beganInside(one))),
    },
  }
}
