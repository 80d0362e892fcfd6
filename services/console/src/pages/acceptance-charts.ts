import { RolloutState } from '@plateau/contracts'
import { isDraft, LOOKUP } from '../model/acceptance-history.js'
import type { Slot } from '../model/buckets.js'
import { measures, type Measure } from '../model/counts.js'
import type { ConsoleState, LineageState } from '../model/state.js'
import { percent } from './format.js'
import type { Line, Marker, TimeChart } from './time-chart.js'

/** How much time a chart shows, and in steps of which length. */
export const ranges = {
  '15m': { label: '15 minutes', ms: 15 * 60_000, stepMs: 15_000 },
  '1h': { label: '1 hour', ms: 3_600_000, stepMs: 60_000 },
  '6h': { label: '6 hours', ms: 6 * 3_600_000, stepMs: 5 * 60_000 },
  '24h': { label: '24 hours', ms: 24 * 3_600_000, stepMs: 15 * 60_000 },
} as const

export type Range = keyof typeof ranges

/** A step of one version with fewer proposed tokens is noise and is not drawn apart. */
const LEAST_TOKENS = 40
/** Versions drawn apart, and other lineages beside. */
const MAX_EACH = 24
const MAX_OTHERS = 3

/** What was asked for, else the shortest range that holds all there is, at most an hour. */
export function rangeOf(asked: string | null, lineage: LineageState | undefined, nowMs: number): Range {
  if (asked !== null && Object.hasOwn(ranges, asked)) return asked as Range
  const oldestMs = lineage?.acceptance.oldestMs() ?? nowMs
  return nowMs - oldestMs < ranges['15m'].ms ? '15m' : '1h'
}

export interface ChartOptions {
  readonly state: ConsoleState
  readonly lineage: LineageState
  readonly range: Range
  readonly nowMs: number
  /** Shown as the main line instead of all drafts together. */
  readonly version?: number
}

/** Rate, length and alpha over the range. */
export function acceptanceCharts(options: ChartOptions): TimeChart[] {
  return [
    chartOf('Acceptance rate', 'rate', percent, options),
    chartOf('Acceptance length', 'length', (value) => value.toFixed(2), options),
    chartOf('Alpha', 'alpha', (value) => value.toFixed(2), options),
  ]
}

export interface Change {
  readonly now: number | undefined
  readonly before: number | undefined
  readonly beforeMs: number
}

/** The measure over the newest tenth of the range, and over the first tenth that anything was counted in. */
export function changeOf(lineage: LineageState, measure: Measure, range: Range, nowMs: number): Change {
  const { ms, stepMs } = ranges[range]
  const slots = lineage.acceptance.series(isDraft, nowMs - ms, nowMs, stepMs)
  const measured = slots.filter(({ counts }) => measures[measure](counts) !== undefined)
  const tenthMs = ms / 10
  const [first, last] = [measured[0]?.fromMs ?? nowMs, measured.at(-1)?.fromMs ?? nowMs]
  const mean = (fromMs: number, toMs: number): number | undefined => {
    const inside = measured.filter((slot) => slot.fromMs >= fromMs && slot.fromMs <= toMs)
    return weighted(inside, measure)
  }
  const before = last - first < 2 * tenthMs ? undefined : mean(first, first + tenthMs)
  return { now: mean(last - tenthMs, last), before, beforeMs: first }
}

function weighted(slots: readonly Slot[], measure: Measure): number | undefined {
  const sum = { drafts: 0, draftTokens: 0, acceptedTokens: 0, alphaSum: 0, alphaPositions: 0 }
  for (const { counts } of slots) {
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += counts[name]
  }
  return measures[measure]({ ...sum, emittedTokens: 0, finished: 0, failed: 0 })
}

function chartOf(title: string, measure: Measure, say: (value: number) => string, options: ChartOptions): TimeChart {
  const { nowMs, range } = options
  const { ms, stepMs } = ranges[range]
  const fromMs = nowMs - ms
  const lines = linesOf(options, measure, fromMs, stepMs)
  const main = lines.filter(({ look }) => look !== 'each').flatMap(({ points }) => points.map(({ value }) => value))
  const room = measure === 'length' ? 0.2 : 0.05
  const [low, high] = main.length === 0 ? [0, 1] : [Math.min(...main) - room, Math.max(...main) + room]
  const floor = measure === 'length' ? 1 : 0
  return {
    title,
    fromMs,
    toMs: nowMs,
    stepMs,
    lines,
    markers: markersOf(options.lineage),
    say,
    least: [Math.max(floor, low), measure === 'length' ? high : Math.min(1, high)],
  }
}

function linesOf(options: ChartOptions, measure: Measure, fromMs: number, stepMs: number): Line[] {
  const { state, lineage, nowMs, version } = options
  const of = (from: LineageState, wanted: (name: string) => boolean, leastTokens = 1): Line['points'] =>
    pointsOf(from.acceptance.series(wanted, fromMs, nowMs, stepMs), measure, leastTokens)
  const drafts = { label: 'all drafts', points: of(lineage, isDraft) }
  if (version !== undefined) {
    const own = { label: `version ${version}`, look: 'main', points: of(lineage, (name) => name === String(version)) }
    return [{ ...drafts, look: 'other-0' }, own]
  }
  const each = lineage.acceptance
    .totals('version', fromMs, nowMs)
    .filter(([name]) => isDraft(name))
    .slice(0, MAX_EACH)
    .map(([name]) => ({
      label: 'one version',
      look: 'each',
      points: of(lineage, (other) => other === name, LEAST_TOKENS),
    }))
  const others = [...state.lineages.values()]
    .filter((other) => other !== lineage && other.acceptance.oldestMs() !== undefined)
    .slice(0, MAX_OTHERS)
    .map((other, at) => ({ label: `lineage ${other.name}`, look: `other-${at + 1}`, points: of(other, isDraft) }))
  const lookup = { label: 'prompt lookup', look: 'other-0', points: of(lineage, (name) => name === LOOKUP) }
  const beside = [...others, lookup].filter(({ points }) => points.length > 0)
  return [...each, ...beside, { ...drafts, look: 'main' }]
}

function pointsOf(slots: readonly Slot[], measure: Measure, leastTokens: number): Line['points'] {
  return slots.flatMap(({ fromMs, counts }) => {
    const value = counts.draftTokens < leastTokens ? undefined : measures[measure](counts)
    return value === undefined || !Number.isFinite(value) ? [] : [{ atMs: fromMs, value }]
  })
}

/** Where a version went live for the first time, and where one was taken back. */
function markersOf({ recentEvents }: LineageState): Marker[] {
  const told = new Set<string>()
  return recentEvents.flatMap((event): Marker[] => {
    const isLive = event.state === RolloutState.ROLLOUT_STATE_LIVE
    if (!isLive && event.state !== RolloutState.ROLLOUT_STATE_ROLLED_BACK) return []
    const key = `${event.version} ${event.state}`
    if (told.has(key)) return []
    told.add(key)
    const kind = isLive ? 'live' : 'back'
    const title = `version ${event.version} ${isLive ? 'went live' : 'was rolled back'}: ${event.reason}`
    return [{ atMs: event.atMs, label: isLive ? `v${event.version}` : `v${event.version} ✕`, title, kind }]
  })
}
