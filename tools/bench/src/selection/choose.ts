/**
 * Which positions an arm trains on: the best share by a strategy, exactly, of windows or of single positions. Arms of one
 * share keep the same number of positions, so that they differ in which and not in how many.
 */
import { hashToUnit, inclusionProbability, lotOfPosition, strategyNamed, type Strategy } from '@plateau/flatness'
import type { ArmName } from './arm-result.js'
import { positionsOf, type SelectionWindow } from './selection-window.js'

export interface ChosenWindow {
  /** The window that was recorded, or its beginning where the budget ended within it. */
  readonly window: SelectionWindow
  /** What each row counts, [rows.length]; 0: context only. Not set: 1 each. */
  readonly weights?: Float32Array
}

/** What a window's positions are worth, [rows.length], whatever made the numbers: learned bins, say. Higher goes first. */
export type PositionValues = (window: SelectionWindow) => ArrayLike<number>

export interface Choice extends Pick<ArmName, 'unit' | 'keep' | 'seed'> {
  /**
   * "full"; a strategy's name, the best of which is kept, "random" among them; or "sampled-" and a strategy: kept with a
   * probability that grows with its rank, each counting the inverse of that probability (unbiased). "stratified-" before
   * either: the share is kept of every domain.
   */
  readonly selector: string
}

/** `values` takes the place of a strategy that the selector names. Ties, and all of "random", by the seed's lot. */
export function choose(
  windows: readonly SelectionWindow[],
  choice: Choice,
  values?: PositionValues,
): readonly ChosenWindow[] {
  if (choice.selector === 'full' || choice.keep === 1) return windows.map((window) => ({ window }))
  if (choice.selector.startsWith(STRATIFIED)) return chooseByDomain(windows, choice, values)
  const budget = Math.round(choice.keep * positionsOf(windows))
  const drawn = windows.map((window) => withLot(window, choice.seed))
  return choice.unit === 'token'
    ? choosePositions(drawn, windows, choice, budget, values)
    : chooseWindows(drawn, windows, choice, budget, values)
}

const STRATIFIED = 'stratified-'

function chooseByDomain(
  windows: readonly SelectionWindow[],
  choice: Choice,
  values: PositionValues | undefined,
): readonly ChosenWindow[] {
  const within = { ...choice, selector: choice.selector.slice(STRATIFIED.length) }
  const chosen = [...Map.groupBy(windows, ({ domain }) => domain).values()].flatMap((own) =>
    choose(own, within, values),
  )
  const place = new Map(windows.map(({ sampleId }, at) => [sampleId, at]))
  return chosen.toSorted((a, b) => place.get(a.window.sampleId)! - place.get(b.window.sampleId)!)
}

/** Positions that count. */
export function keptPositions(chosen: readonly ChosenWindow[]): number {
  return chosen.reduce(
    (sum, { window, weights }) =>
      sum + (weights === undefined ? window.rows.length : weights.filter((weight) => weight > 0).length),
    0,
  )
}

const SAMPLED = 'sampled-'

function strategyOf(selector: string): Strategy {
  return strategyNamed(selector.startsWith(SAMPLED) ? selector.slice(SAMPLED.length) : selector)
}

/** Each seed draws its own lots, so that "random" is another draw and ties fall otherwise. */
function withLot(window: SelectionWindow, seed: number): SelectionWindow {
  return { ...window, statistics: { ...window.statistics, lot: hashToUnit(`selection.${seed}`, window.sampleId) } }
}

function chooseWindows(
  drawn: readonly SelectionWindow[],
  windows: readonly SelectionWindow[],
  { selector, keep, seed }: Choice,
  budget: number,
  values: PositionValues | undefined,
): ChosenWindow[] {
  const scoreOf = windowScores(selector, values)
  const scores = drawn.map((window, at) => scoreOf(window, before(drawn, at)))
  const lots = drawn.map(({ statistics }) => statistics.lot)
  if (selector.startsWith(SAMPLED)) {
    const weights = sampledWeights(scores, lots, { keep, seed })
    return windows.flatMap((window, at) =>
      weights[at]! > 0 ? [{ window, weights: new Float32Array(window.rows.length).fill(weights[at]!) }] : [],
    )
  }
  const kept: { readonly at: number; readonly positions: number }[] = []
  let left = budget
  for (const at of bestFirst(scores, lots)) {
    if (left <= 0) break
    const positions = Math.min(left, windows[at]!.rows.length)
    kept.push({ at, positions })
    left -= positions
  }
  // In recorded order, whatever their rank.
  return kept
    .toSorted((a, b) => a.at - b.at)
    .map(({ at, positions }) => ({ window: beginning(windows[at]!, positions) }))
}

function windowScores(selector: string, values: PositionValues | undefined) {
  if (values !== undefined) return (window: SelectionWindow) => meanOf(values(window))
  const strategy = strategyOf(selector)
  return (window: SelectionWindow, earlier: readonly SelectionWindow[]) =>
    strategy.score(
      window.statistics,
      earlier.map(({ statistics }) => statistics),
    )
}

/** As many as any strategy looks back at, newest first. */
const MOST_BEFORE = 3

function before(windows: readonly SelectionWindow[], at: number): SelectionWindow[] {
  return windows.slice(Math.max(0, at - MOST_BEFORE), at).toReversed()
}

function choosePositions(
  drawn: readonly SelectionWindow[],
  windows: readonly SelectionWindow[],
  { selector, keep, seed }: Choice,
  budget: number,
  values: PositionValues | undefined,
): ChosenWindow[] {
  const scores = drawn.flatMap((window) => [...positionScores(window, selector, values)])
  const lots = drawn.flatMap(({ statistics, rows }) =>
    Array.from({ length: rows.length }, (_, i) => lotOfPosition(statistics.lot, i)),
  )
  const weights = selector.startsWith(SAMPLED)
    ? sampledWeights(scores, lots, { keep, seed })
    : topWeights(scores, lots, budget)
  let from = 0
  return windows.flatMap((window) => {
    const own = weights.subarray(from, (from += window.rows.length))
    return own.some((weight) => weight > 0) ? [{ window, weights: own }] : []
  })
}

function positionScores(
  window: SelectionWindow,
  selector: string,
  values: PositionValues | undefined,
): Iterable<number> {
  return values === undefined ? strategyOf(selector).positions(window.statistics) : Float64Array.from(values(window))
}

/** What each unit counts: the inverse of the probability that it was drawn with, 0 where it was not. */
function sampledWeights(
  scores: readonly number[],
  lots: readonly number[],
  { keep, seed }: Pick<Choice, 'keep' | 'seed'>,
): Float32Array {
  const weights = new Float32Array(scores.length)
  for (const [rank, at] of bestFirst(scores, lots).entries()) {
    const probability = inclusionProbability(keep, 1 - rank / scores.length)
    // Of a lot that broke no tie.
    if (hashToUnit(`selection.sampled.${seed}`, String(at)) < probability) weights[at] = 1 / probability
  }
  return weights
}

function topWeights(scores: readonly number[], lots: readonly number[], budget: number): Float32Array {
  const weights = new Float32Array(scores.length)
  for (const at of bestFirst(scores, lots).slice(0, budget)) weights[at] = 1
  return weights
}

/** Indices by falling score, ties by falling lot; NaN, nothing to rank by, last. */
function bestFirst(scores: readonly number[], lots: readonly number[]): number[] {
  const ranked = scores.map((score) => (Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score))
  const descending = (a: number, b: number): number => (a === b ? 0 : a > b ? -1 : 1)
  return [...ranked.keys()].sort((a, b) => descending(ranked[a]!, ranked[b]!) || lots[b]! - lots[a]!)
}

/** The window's first positions. Views of the same arrays. */
function beginning(window: SelectionWindow, positions: number): SelectionWindow {
  const { rows } = window
  if (positions === rows.length) return window
  const hidden = rows.features.length / rows.length
  return {
    ...window,
    rows: {
      ...rows,
      length: positions,
      tokens: rows.tokens.subarray(0, positions),
      features: rows.features.subarray(0, positions * hidden),
      nextFeatures: rows.nextFeatures.subarray(0, positions * hidden),
      listedIds: rows.listedIds.subarray(0, positions * rows.listed),
      listedProbs: rows.listedProbs.subarray(0, positions * rows.listed),
      weights: rows.weights.subarray(0, positions),
    },
  }
}

function meanOf(values: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]!
  return sum / values.length
}
