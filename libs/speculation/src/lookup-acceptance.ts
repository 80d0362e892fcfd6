import { SHORTEST_MATCH } from './prompt-lookup.js'
import { Mean } from './running-mean.js'

/** Least matched tokens of each class: acceptance rises with the length of the match, and soon no more. */
const CLASSES = [SHORTEST_MATCH, 3, 4, 6, 9]
/** Belief about a copied token before any was judged: worth a try where a further position costs little. */
const INITIAL = 0.4
/** Weight of a class's belief, which is what the next shorter class does. */
const PRIOR_WEIGHT = 4
/** Weight, within a response, of what all traffic says. */
const RESPONSE_PRIOR = 4
const MEMORY = 48
/** Rounds until what was believed is mostly forgotten, so that what did not pay is tried again. */
const FORGET_AFTER = 512
/** Belief about the tokens that looking for copies brings to a round, and its weight in rounds. */
const INITIAL_YIELD = 0.1
const YIELD_PRIOR = 16

/**
 * How often copied tokens are accepted, by how many tokens before them agreed. A copy that has come through i positions
 * has matched i tokens more, so one table answers for every position of a proposal.
 */
export class LookupAcceptance {
  readonly #classes = CLASSES.map(() => new Mean())
  readonly #yield = new Mean()

  /** A copy was proposed after `matched` tokens. */
  observe(matched: number, accepted: number, judged: number): void {
    for (let i = 0; i < judged; i++) {
      this.#classes[classOf(matched + i)]!.observe(i < accepted ? 1 : 0, MEMORY)
    }
  }

  /** A copy was looked for, and brought so many tokens. */
  sought(accepted: number): void {
    this.#yield.observe(accepted, MEMORY)
    for (const mean of this.#classes) mean.fade(FORGET_AFTER)
  }

  /** Estimated acceptance of position 0, 1, ... after `matched` tokens; `within` is one response's own record. */
  at(matched: number, position: number, within?: LookupAcceptance): number {
    const last = classOf(matched + position)
    let belief = INITIAL
    for (let c = 0; c <= last; c++) belief = this.#classes[c]!.towards(belief, PRIOR_WEIGHT)
    return within === undefined ? belief : within.#classes[last]!.towards(belief, RESPONSE_PRIOR)
  }

  /** Tokens that looking for a copy brings to a round, most rounds having none. */
  yieldPerRound(within?: LookupAcceptance): number {
    const common = this.#yield.towards(INITIAL_YIELD, YIELD_PRIOR)
    return within === undefined ? common : within.#yield.towards(common, YIELD_PRIOR)
  }
}

function classOf(matched: number): number {
  let found = 0
  while (found + 1 < CLASSES.length && matched >= CLASSES[found + 1]!) found++
  return found
}
