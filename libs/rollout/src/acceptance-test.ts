import { MeanSequence } from './mean-sequence.js'
import type { MeanEvidence } from './sequential-test.js'

export interface AcceptanceTestOptions {
  /** How much lower the candidate's acceptance may be, in [0, 1). */
  readonly margin: number
  /** Of saying worse, at any time, where the candidate is not; in (0, 1). */
  readonly falseRejection: number
}

export type TrialArm = 'candidate' | 'incumbent'

export interface ArmAcceptance {
  /** Responses, or short ones together. */
  readonly units: number
  /** Proposals that were judged, in whole units. */
  readonly judged: number
  /** Mean of accepted / judged over the units; 0 where there is none. */
  readonly acceptance: number
}

/** Judged proposals that make a unit, at least. */
const UNIT_PROPOSALS = 32

/**
 * Accepted / judged of requests that used one draft or the other: is the candidate's acceptance lower by more than the
 * margin? Only worse is ever said.
 *
 * The arms see different responses, and which one a response falls to is drawn; so a response is what is drawn, not a
 * proposal: proposals of one response share its text and are accepted together. A unit is a response, or so many short ones
 * that they have 32 judged proposals together, and counts its accepted / judged once. Each arm's mean has an interval
 * that holds at any time; worse is where the candidate's lies below the incumbent's by more than the margin, each with
 * half the rate.
 */
export class AcceptanceTest {
  readonly #options: AcceptanceTestOptions
  readonly #arms = { candidate: new ArmUnits(), incumbent: new ArmUnits() }

  constructor(options: AcceptanceTestOptions) {
    this.#options = options
  }

  /** One response's proposals; without a judged one it says nothing. */
  observe(arm: TrialArm, accepted: number, judged: number): void {
    if (!(accepted >= 0 && accepted <= judged)) throw new RangeError(`${accepted} accepted of ${judged} judged`)
    this.#arms[arm].observe(accepted, judged)
  }

  arm(arm: TrialArm): ArmAcceptance {
    const { judged, rates } = this.#arms[arm]
    return { units: rates.count, judged, acceptance: rates.count === 0 ? 0 : rates.mean }
  }

  isWorse(): boolean {
    return this.#high() < -this.#options.margin
  }

  /** Of candidate minus incumbent. `count`: units of the candidate. The interval misses with twice the rate at most. */
  evidence(): MeanEvidence {
    const rate = this.#options.falseRejection / 2
    const { candidate, incumbent } = this.#arms
    const low = candidate.rates.lowerBound(rate) - incumbent.rates.upperBound(rate)
    const mean = candidate.rates.mean - incumbent.rates.mean
    return { count: candidate.rates.count, mean, low, high: this.#high() }
  }

  #high(): number {
    const rate = this.#options.falseRejection / 2
    return this.#arms.candidate.rates.upperBound(rate) - this.#arms.incumbent.rates.lowerBound(rate)
  }
}

class ArmUnits {
  readonly rates = new MeanSequence(0, 1)
  /** In whole units. */
  judged = 0
  #open = { accepted: 0, judged: 0 }

  observe(accepted: number, judged: number): void {
    this.#open.accepted += accepted
    this.#open.judged += judged
    if (this.#open.judged < UNIT_PROPOSALS) return
    this.rates.observe(this.#open.accepted / this.#open.judged)
    this.judged += this.#open.judged
    this.#open = { accepted: 0, judged: 0 }
  }
}
