import type { TrialArm } from './acceptance-test.js'
import { AcceptanceComparison } from './acceptance-comparison.js'
import type { Evidence } from './evidence.js'
import { PairComparison } from './pair-comparison.js'
import { atOf, namesOf, numbersOf } from './reasons.js'
import { assertMove, type RolloutPhase } from './rollout-phases.js'
import type { PairLabels, TrafficLabels } from './traffic-slices.js'
import type { TrialOptions } from './trial-options.js'

/** What becomes of a version, why, and on which evidence. */
export interface Move {
  readonly to: 'canary' | 'live' | 'confirmed' | 'rejected' | 'rolled-back'
  /** One sentence for a person. */
  readonly reason: string
  /** What decided comes first. */
  readonly evidence: Evidence[]
}

/** Where nothing is live, a draft has to have a mean alpha above this: below, no cost of a proposal pays. */
const LEAST_USEFUL_ALPHA = 0.1
/** Live positions that must agree with held-out windows. */
const AGREEING_POSITIONS = 32
/** Positions of a short epoch. */
const RECENT_POSITIONS = 400
/** Responses, or short ones together, of either version that show a collapse of acceptance, before a version is confirmed. */
const PROVEN_UNITS = 30
/** Requests of this version after which it is confirmed although hardly any stayed on the other one. */
const PROVEN_REQUESTS = 500
/** The same of an epoch of the comparison of acceptance: few requests stay on the other version. */
const WATCH_UNITS = 5_000

/**
 * Everything that one version goes through once it is verified. Who owns it feeds observations, asks `decide` as often as
 * it likes, carries the move out and says so by `begin` (a confirmed version needs no `begin`).
 *
 *     shadow ──enough pairs, or time──▶ canary ──not worse, or enough──▶ live ──not worse──▶ confirmed
 *        └──worse──▶ rejected ◀──worse───┘                                └──worse──▶ rolled-back ◀──worse──┘
 *
 * Worse is said by four comparisons, each with a quarter of the error rate: alpha on held-out windows, alpha of both drafts
 * at the same live positions over long and over short epochs, and acceptance of the requests that used one or the other.
 * Each begins anew with every epoch, so that a version that becomes worse is found whatever it did before: a collapse soon
 * by the short ones, a slow decline by the long ones. Epoch k has 6 / (pi k)^2 of the rate. Shadow, canary and the way from
 * live to confirmed are one long epoch of the pairs. Confirmed is who is shown not to be worse by pairs, and had enough
 * requests beside the other version that a collapse of what it proposes would have been seen.
 */
export class VersionTrial {
  readonly #options: TrialOptions
  readonly #incumbent: number
  readonly #windows: PairComparison
  readonly #pairs: PairComparison
  readonly #recentPairs: PairComparison
  readonly #acceptance: AcceptanceComparison
  #phase: RolloutPhase = 'verified'
  #sinceMs = 0
  #requests = 0
  #stageRequests = 0
  /** Live pairs that have shown that it is not worse, in this epoch or in one before. */
  #shownBy: Evidence | undefined

  /** `incumbent`: the version it is compared with; 0 where nothing is live: `other` is then 0 everywhere. */
  constructor(options: TrialOptions, incumbent: number) {
    this.#options = options
    this.#incumbent = incumbent
    const { falsePromotion } = options
    const falseRejection = options.errorRate / 4
    const margin = incumbent === 0 ? -LEAST_USEFUL_ALPHA : options.margin
    this.#windows = new PairComparison('windows', { margin, falseRejection, falsePromotion })
    this.#pairs = new PairComparison('live-pairs', { margin, falseRejection, falsePromotion })
    this.#recentPairs = new PairComparison('live-pairs', { margin, falseRejection, falsePromotion })
    this.#acceptance = new AcceptanceComparison({ margin: options.acceptanceMargin, falseRejection })
  }

  get phase(): RolloutPhase {
    return this.#phase
  }

  /** Throws a RangeError where the version may not go there. */
  begin(phase: 'shadow' | 'canary' | 'live', nowMs: number): void {
    assertMove(this.#phase, phase)
    this.#phase = phase
    this.#sinceMs = nowMs
    this.#stageRequests = 0
    // Requests of another phase met other traffic than those of this one will.
    this.#acceptance.restart()
  }

  /** Alpha, in [0, 1], of this version and of the incumbent at a position of a held-out window. */
  observeWindowPair(value: number, other: number, labels: PairLabels): void {
    this.#windows.observe(value, other, labels)
  }

  /** Alpha of both at a position of a live response, whichever of them proposed there. */
  observeLivePair(value: number, other: number, labels: PairLabels): void {
    this.#pairs.observe(value, other, labels)
    this.#recentPairs.observe(value, other, labels)
  }

  /**
   * A finished response and the draft that it used. Only responses whose draft was drawn by lot: any other choice, a label's
   * best draft say, gives the two arms different traffic.
   */
  observeResponse(arm: TrialArm, accepted: number, judged: number, labels: TrafficLabels): void {
    this.#acceptance.observe(arm, accepted, judged, labels)
    if (arm === 'incumbent') return
    this.#requests++
    this.#stageRequests++
  }

  /** What is due now; undefined where everything stays as it is. */
  decide(nowMs: number): Move | undefined {
    const move = this.#due(nowMs)
    if (move?.to === 'confirmed' || move?.to === 'rejected' || move?.to === 'rolled-back') this.#phase = move.to
    if (move?.to === 'confirmed') this.#endEpochs(0, 0)
    else if (this.#isWatched()) this.#endEpochs(this.#options.watchPositions, RECENT_POSITIONS)
    return move
  }

  /** The comparisons of the present epoch that have something to say. */
  evidence(): Evidence[] {
    return [this.#windows, this.#pairs, this.#acceptance]
      .map((comparison) => comparison.evidence(this.#requests))
      .filter((evidence) => evidence !== undefined)
  }

  #due(nowMs: number): Move | undefined {
    const isTested = this.#phase === 'shadow' || this.#phase === 'canary'
    if (!isTested && !this.#isWatched()) return undefined
    const isLate = nowMs - this.#sinceMs >= this.#options.stageMs
    const windows = this.#windowsCount(isLate) ? [this.#windows] : []
    const judges = [this.#pairs, this.#recentPairs, this.#acceptance, ...windows]
    const worse = judges.find((one) => one.verdict() === 'worse')
    if (worse !== undefined) {
      const decisive = worse.evidence(this.#requests)!
      const reason = `worse than ${this.#other()}: ${numbersOf(decisive)}`
      return this.#move(isTested ? 'rejected' : 'rolled-back', reason, decisive)
    }
    if (this.#pairs.verdict() === 'not-worse') this.#shownBy = this.#pairs.evidence(this.#requests)
    if (this.#phase === 'shadow') return this.#endOfShadow(isLate)
    if (this.#phase === 'canary') return this.#endOfCanary(isLate)
    if (this.#phase === 'confirmed' || this.#shownBy === undefined || !this.#isProven) return undefined
    return this.#shown('confirmed', this.#shownBy)
  }

  #shown(to: 'live' | 'confirmed', decisive: Evidence): Move {
    return this.#move(to, `not worse than ${this.#other()}: ${numbersOf(decisive)}`, decisive)
  }

  #endOfShadow(isLate: boolean): Move | undefined {
    if (this.#pairs.count < this.#options.shadowPositions && !isLate) return undefined
    return this.#move('canary', `the shadow ended after ${atOf(this.#pairs, this.#windows)} without showing it worse`)
  }

  #endOfCanary(isLate: boolean): Move | undefined {
    if (this.#shownBy !== undefined) return this.#shown('live', this.#shownBy)
    if (this.#stageRequests < this.#options.canaryRequests && !isLate) return undefined
    return this.#byPointEstimate()
  }

  /** The canary is over and nothing was shown. */
  #byPointEstimate(): Move {
    const after = `the canary ended undecided after ${namesOf(this.#stageRequests, 'request')}`
    const judge = [this.#pairs, this.#windows].find(({ count }) => count >= this.#options.shadowPositions)
    if (judge === undefined) {
      return this.#move('live', `${after}, with too little to compare (${atOf(this.#pairs, this.#windows)})`)
    }
    const alone = this.#pairs.count === 0 ? ', nothing live was compared and the held-out windows stand alone' : ''
    const decisive = judge.evidence(this.#requests)!
    return this.#move(judge.isProbablyWorse ? 'rejected' : 'live', `${after}${alone}: ${numbersOf(decisive)}`, decisive)
  }

  #move(to: Move['to'], reason: string, decisive?: Evidence): Move {
    const others = this.evidence().filter(({ comparison }) => comparison !== decisive?.comparison)
    return { to, reason, evidence: decisive === undefined ? others : [decisive, ...others] }
  }

  #other(): string {
    return this.#incumbent === 0 ? 'no draft' : `version ${this.#incumbent}`
  }

  #isWatched(): boolean {
    return this.#phase === 'live' || this.#phase === 'confirmed'
  }

  /**
   * Held-out windows are of the traffic that was: a version that follows a shift may be worse on them. They count where live
   * positions agree, or where there are none.
   */
  #windowsCount(isLate: boolean): boolean {
    return this.#pairs.count < AGREEING_POSITIONS ? isLate : this.#pairs.isProbablyWorse
  }

  /** What it proposes was compared too, as far as there is something to compare it with. */
  get #isProven(): boolean {
    const compared =
      this.#acceptance.units('incumbent') >= PROVEN_UNITS && this.#acceptance.units('candidate') >= PROVEN_UNITS
    return this.#incumbent === 0 || compared || this.#stageRequests >= PROVEN_REQUESTS
  }

  #endEpochs(positions: number, recentPositions: number): void {
    for (const comparison of [this.#windows, this.#pairs]) if (comparison.count >= positions) comparison.restart()
    if (this.#recentPairs.count >= recentPositions) this.#recentPairs.restart()
    if (this.#acceptance.units('candidate') >= WATCH_UNITS) this.#acceptance.restart()
  }
}
