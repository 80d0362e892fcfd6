/**
 * The time between tokens as a client sees it. A gap lies between two arrivals of one answer; divided by the tokens that
 * came at its end it counts once for each of them, as serving's plateau_inter_token_latency_seconds does.
 */
import type { Arrival } from './streamed-completion.js'
import { quantile, weightedQuantile, type Weighted } from '../statistics.js'

/** All times are of one clock, in milliseconds. */
export interface Gap {
  readonly fromMs: number
  readonly toMs: number
  /** That came at its end. */
  readonly tokens: number
}

export interface Span {
  readonly fromMs: number
  readonly toMs: number
}

export interface GapFigures {
  readonly tokens: number
  /** Of gap / tokens, over tokens. */
  readonly p50Ms: number
  readonly p99Ms: number
  /** Longest wait between two arrivals, undivided. */
  readonly maxMs: number
}

export function gapsOf(arrivals: readonly Arrival[]): Gap[] {
  return arrivals.slice(1).map(({ atMs, tokens }, i) => ({ fromMs: arrivals[i]!.atMs, toMs: atMs, tokens }))
}

/** Inside: any part of the gap lies in one of the spans. */
export function splitGaps(gaps: readonly Gap[], spans: readonly Span[]): { inside: Gap[]; outside: Gap[] } {
  const isInside = (gap: Gap): boolean => spans.some((span) => gap.toMs >= span.fromMs && gap.fromMs <= span.toMs)
  const { inside = [], outside = [] } = Object.groupBy(gaps, (gap) => (isInside(gap) ? 'inside' : 'outside'))
  return { inside, outside }
}

export function gapFigures(gaps: readonly Gap[]): GapFigures {
  const weighted = gaps.map(perToken)
  return {
    tokens: gaps.reduce((sum, { tokens }) => sum + tokens, 0),
    p50Ms: weightedQuantile(weighted, 0.5),
    p99Ms: weightedQuantile(weighted, 0.99),
    maxMs: quantile(
      gaps.map(({ fromMs, toMs }) => toMs - fromMs),
      1,
    ),
  }
}

function perToken({ fromMs, toMs, tokens }: Gap): Weighted {
  return { value: (toMs - fromMs) / tokens, weight: tokens }
}
