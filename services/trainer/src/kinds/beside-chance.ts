import type { PairedGain } from '@plateau/training'
import { RANDOM } from './rule-arms.js'

/** What a turn gained, and when it was. */
export interface MeasuredTurn extends PairedGain {
  readonly arm: string
  /** Its place among all turns. */
  readonly at: number
}

/** By how much the turns of an arm in one round gained more than chance. */
export interface MeasuredRound extends PairedGain {
  readonly arm: string
}

export interface BesideChanceState {
  /** The last turn of chance. */
  readonly chance: MeasuredTurn | undefined
  /** Turns since. */
  readonly waiting: readonly MeasuredTurn[]
}

/** More wait only where chance has no windows; the oldest leave. */
const MOST_WAITING = 64

/**
 * By how much turns gain more than turns of chance would have gained in their place. Steps gain less and less by any rule, and
 * more after a shift: when a turn was says more than whose it was. So what counts is a turn's gain less what lies on the line
 * between the turns of chance before and after it. Where gains fall as they mostly do, first fast and then slowly, that
 * line is above what chance would have gained: no rule looks better than it is.
 *
 * A round is what lies between two turns of chance. The turns of an arm in it share their errors: they make one measurement.
 */
export class BesideChance {
  #chance: MeasuredTurn | undefined
  #waiting: readonly MeasuredTurn[]

  constructor({ chance, waiting }: BesideChanceState = { chance: undefined, waiting: [] }) {
    this.#chance = chance
    this.#waiting = waiting
  }

  /** Ends a round where it is a turn of chance: what came of that. */
  add(turn: MeasuredTurn): MeasuredRound[] {
    if (turn.arm !== RANDOM) {
      this.#waiting = [...this.#waiting, turn].slice(-MOST_WAITING)
      return []
    }
    const [before, turns] = [this.#chance, this.#waiting]
    this.#chance = turn
    this.#waiting = []
    // What was before any turn of chance has nothing to be compared with.
    if (before === undefined) return []
    const arms = [...new Set(turns.map(({ arm }) => arm))]
    return arms.map((arm) =>
      roundOf(
        turns.filter((one) => one.arm === arm),
        before,
        turn,
      ),
    )
  }

  /** Turns of an arm in the round that is under way. */
  waiting(arm: string): number {
    return this.#waiting.filter((turn) => turn.arm === arm).length
  }

  get state(): BesideChanceState {
    return { chance: this.#chance, waiting: this.#waiting }
  }
}

/** `turns`: of one arm, at least one. */
function roundOf(turns: readonly MeasuredTurn[], before: MeasuredTurn, after: MeasuredTurn): MeasuredRound {
  const n = turns.length
  const meanOf = (of: (turn: MeasuredTurn) => number): number => turns.reduce((sum, turn) => sum + of(turn), 0) / n
  const share = meanOf(({ at }) => (at - before.at) / (after.at - before.at))
  const own = Math.sqrt(meanOf(({ standardError }) => standardError ** 2) / n)
  return {
    arm: turns[0]!.arm,
    gain: meanOf(({ gain }) => gain) - (1 - share) * before.gain - share * after.gain,
    standardError: Math.hypot(own, (1 - share) * before.standardError, share * after.standardError),
  }
}
