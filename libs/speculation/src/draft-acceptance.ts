import { Mean } from './running-mean.js'

/** Judged proposals that the estimate of a_1 looks back on (exponentially). Shorter while only probes come in. */
const MEMORY = 48
const PROBE_MEMORY = 12
/** Weight, in judged proposals, of the belief that position i does as well as position i - 1. */
const PRIOR_WEIGHT = 6
/** Judged proposals of a response that count as much as all the traffic before it. */
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

  /** As a response's own record, which only its judged positions enter. */
  observeWithin(accepted: number, judged: number): void {
    for (let i = 0; i < judged; i++) this.#positions[i]!.observe(i < accepted ? 1 : 0, MEMORY)
  }

  /** Estimated a_i by position; `within` is one response's own record. */
  estimate(within?: DraftAcceptance): number[] {
    const acceptance: number[] = []
    for (const [i, observed] of this.#positions.entries()) {
      const common = observed.towards(acceptance.at(-1) ?? this.#initial, PRIOR_WEIGHT)
      acceptance.push(within === undefined ? common : within.#positions[i]!.towards(common, RESPONSE_PRIOR))
    }
    return acceptance
  }
}
