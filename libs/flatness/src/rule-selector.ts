import { drawOf, lotOfPosition, roundingTicketOf } from './hash.js'
import { inclusionProbability } from './inclusion.js'
import { joinedWindows } from './joined-windows.js'
import { weighsPositions, type KeepRule } from './keep-rule.js'
import type { PlacedWindow } from './recent-windows.js'
import { SlidingQuantile } from './sliding-quantile.js'
import { isBelow, type RankedScore } from './sorted-scores.js'

export interface RuleSelectorOptions {
  /** Windows that the threshold is a quantile of. */
  readonly recentWindows: number
  /** Fewer recent windows than this: everything is kept. */
  readonly warmUpWindows: number
}

/** What a rule makes of one window. */
export interface Judgement {
  /** fp32; NaN when there is nothing to rank the window by: it goes by lot then. */
  readonly score: number
  /** NaN during warm-up, and where there is nothing to compare with; -Infinity when the rule drops nothing. */
  readonly threshold: number
  readonly keep: boolean
  /** [n], what each position counts, all 0 when dropped; undefined where every one counts 1. */
  readonly gradientWeights: Float32Array | undefined
}

/** One thing that is kept or dropped. Its score may be NaN. */
interface Candidate extends RankedScore {
  readonly weight: number
}

/** What a rule ranks of a window. */
interface Measured {
  readonly score: number
  readonly positions: number
  readonly stratum: string
  /** Draws for the unit: of the response, where that is kept or dropped as one. */
  readonly lot: number
  /** The window itself, or each of its positions. */
  readonly candidates: readonly Candidate[]
}

/** How many positions of a window the threshold of single positions is made of. */
const RECENT_POSITIONS = 16

/**
 * One rule over one stream. The threshold is a quantile of what was recent: of windows, each weighing 1 or its length as
 * the budget says, or of positions; within the window's domain where the rule is stratified.
 *
 * What cannot be ranked (a window in which no draft proposed, under a rule that asks how far the draft is off) goes by
 * lot, at the rule's share, and takes no part in the threshold: traffic before the first draft is neither all kept nor
 * all dropped, and the share holds whatever part of the traffic a draft proposes in.
 */
export class RuleSelector {
  readonly rule: KeepRule
  readonly #options: RuleSelectorOptions
  /** By stratum; there is one, "", where the rule is not stratified. */
  readonly #strata = new Map<string, SlidingQuantile>()
  /** What each recent window has put into its stratum, oldest first. */
  readonly #recent: { readonly stratum: string; readonly entries: number }[] = []

  constructor(rule: KeepRule, options: RuleSelectorOptions) {
    this.rule = rule
    this.#options = options
  }

  /** The verdict on the next window, were it of the selected arm; it becomes one of the recent ones. */
  decide(placed: PlacedWindow): Judgement {
    const measured = this.#measure(placed)
    const judgement = this.#judge(measured)
    this.#add(measured)
    return judgement
  }

  /** Takes a window into account that was decided before. */
  remember(placed: PlacedWindow): void {
    this.#add(this.#measure(placed))
  }

  /** Kept at random, at the rule's share, in its unit and counted as it counts: what the control arm is. */
  atRandom(placed: PlacedWindow): Pick<Judgement, 'keep' | 'gradientWeights'> {
    const { candidates } = this.#measure(placed)
    return this.#kept(
      placed.window.flatness.length,
      candidates.map((one) => this.#countByLot(one)),
    )
  }

  #judge({ score, positions, stratum, lot, candidates }: Measured): Judgement {
    const everything = { score, keep: true, gradientWeights: undefined }
    if (this.rule.keep === 1) return { ...everything, threshold: Number.NEGATIVE_INFINITY }
    if (this.#recent.length < this.#options.warmUpWindows) return { ...everything, threshold: Number.NaN }
    const quantile = this.#strata.get(stratum)
    const threshold = quantile?.threshold(this.rule.keep, roundingTicketOf(lot))
    const counts = candidates.map((one) => this.#countOf(one, quantile, threshold))
    return { score, threshold: threshold?.score ?? Number.NaN, ...this.#kept(positions, counts) }
  }

  /** 0 for what is dropped. */
  #countOf(one: Candidate, quantile: SlidingQuantile | undefined, threshold: RankedScore | undefined): number {
    if (quantile === undefined || threshold === undefined || Number.isNaN(one.score)) return this.#countByLot(one)
    if (this.rule.sampling === 'top') return isBelow(one, threshold) ? 0 : 1
    const above = quantile.shareBelow(one, roundingTicketOf(one.lot))
    return drawn(one, inclusionProbability(this.rule.keep, above))
  }

  #countByLot(one: Candidate): number {
    const { keep, sampling } = this.rule
    if (sampling === 'weighted') return drawn(one, keep)
    return one.lot < keep ? 1 : 0
  }

  /** `counts`: of the window, or of each position. */
  #kept(positions: number, counts: readonly number[]): Pick<Judgement, 'keep' | 'gradientWeights'> {
    const keep = counts.some((count) => count > 0)
    if (!weighsPositions(this.rule)) return { keep, gradientWeights: undefined }
    const weights = Float32Array.from({ length: positions }, (_, i) => counts[counts.length === 1 ? 0 : i]!)
    return { keep, gradientWeights: weights }
  }

  #measure({ window, before, earlier }: PlacedWindow): Measured {
    const { strategy, unit, budget, stratified } = this.rule
    const isSample = unit === 'sample'
    const subject = isSample ? joinedWindows([...earlier, window]) : window
    const others = isSample ? before.filter(({ sampleId }) => sampleId !== window.sampleId) : before
    // -0 and 0 are one score.
    const score = Math.fround(strategy.score(subject, others)) + 0
    const { lot } = subject
    const positions = window.flatness.length
    const whole = { score, lot, weight: budget === 'tokens' ? positions : 1 }
    return {
      score,
      positions,
      stratum: stratified ? window.domain : '',
      lot,
      candidates: unit === 'token' ? single(strategy.positions(window), lot) : [whole],
    }
  }

  #add({ stratum, lot, candidates }: Measured): void {
    const { recentWindows } = this.#options
    if (this.#recent.length === recentWindows) this.#forgetOldest()
    const entries = this.rule.unit === 'token' ? someOf(candidates, lot) : candidates.filter(isRanked)
    this.#recent.push({ stratum, entries: entries.length })
    if (entries.length === 0) return
    const quantile = this.#strata.get(stratum) ?? new SlidingQuantile(recentWindows * RECENT_POSITIONS)
    this.#strata.set(stratum, quantile)
    for (const entry of entries) quantile.add(entry)
  }

  #forgetOldest(): void {
    const { stratum, entries } = this.#recent.shift()!
    const quantile = this.#strata.get(stratum)
    for (let i = 0; i < entries; i++) quantile!.forgetOldest()
    if (quantile?.size === 0) this.#strata.delete(stratum)
  }
}

function drawn(one: Candidate, probability: number): number {
  return drawOf(one.lot) < probability ? 1 / probability : 0
}

function single(scores: Float32Array, lot: number): Candidate[] {
  return Array.from(scores, (score, i) => ({ score: score + 0, lot: lotOfPosition(lot, i), weight: 1 }))
}

function isRanked(one: Candidate): boolean {
  return !Number.isNaN(one.score)
}

/** At most RECENT_POSITIONS of the ranked ones, evenly spread from a drawn start; together they weigh what all would. */
function someOf(candidates: readonly Candidate[], lot: number): Candidate[] {
  const ranked = candidates.filter(isRanked)
  const n = Math.min(RECENT_POSITIONS, ranked.length)
  const step = ranked.length / n
  const start = roundingTicketOf(lot)
  return Array.from({ length: n }, (_, j) => ({ ...ranked[Math.floor((j + start) * step)]!, weight: step }))
}
