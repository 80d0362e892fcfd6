import { Mean } from './running-mean.js'

/** Judged proposals that the estimate of a_1 looks back on (exponentially). Shorter while only probes come in. */
const MEMORY = 48
const PROBE_MEMORY = 12
/** Weight, in judged proposals, of the belief that position i does as well as position i - 1. */
const PRIOR_WEIGHT = 6
/** Judged proposals of a kind of traffic that count as much as all traffic, and of a response as much as its kind. */
const KIND_PRIOR = 12
const RESPONSE_PRIOR = 8

/** How often a draft's tokens are accepted, by position: a_i given that the ones before it were. */
export class DraftAcceptance {
  readonly #initial: number
  readonly #positions: readonly Mean[]

  constructor(maxProposal: number, initial: number) {
    this.#initial = initial
    this.#positions = Array.from({ length: maxProposal }, () => new Mean())
  }

  observe(accepted: number, judged: number, onlyProbes: boolean): void {
    // Positions that were not judged fade too, back to the belief that they do as well as the position before.
    for (const [i, mean] of this.#positions.entries()) {
      if (i < judged) mean.observe(i < accepted ? 1 : 0, onlyProbes ? PROBE_MEMORY : MEMORY)
      else if (i > 0) mean.fade(MEMORY)
    }
  }

  /** As the record of a response, or of a kind of traffic, which only judged positions enter. */
  observeWithin(accepted: number, judged: number): void {
    for (let i = 0; i < judged; i++) this.#positions[i]!.observe(i < accepted ? 1 : 0, MEMORY)
  }

  /** Estimated a_i by position; `kind` and `response` are records of a part of the traffic and of a part of that. */
  estimate(kind?: DraftAcceptance, response?: DraftAcceptance): number[] {
    const acceptance: number[] = []
    for (const [i, observed] of this.#positions.entries()) {
      let belief = observed.towards(acceptance.at(-1) ?? this.#initial, PRIOR_WEIGHT)
      if (kind !== undefined) belief = kind.#positions[i]!.towards(belief, KIND_PRIOR)
      if (response !== undefined) belief = response.#positions[i]!.towards(belief, RESPONSE_PRIOR)
      acceptance.push(belief)
    }
    return acceptance
  }

  /** How much has been judged at the first position lately. */
  get weight(): number {
    return this.#positions[0]?.weight ?? 0
  }
}
