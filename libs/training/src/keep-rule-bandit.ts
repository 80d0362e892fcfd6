import type { PairedGain } from './paired-gain.js'
import { RunningGain, type RunningGainState } from './running-gain.js'

export interface KeepRuleBanditOptions {
  /** Rules that may be tried, by name; the baseline among them. */
  readonly arms: readonly string[]
  /** What every other arm must beat: keeping at random. */
  readonly baseline: string
  /** Turns after which a measurement counts half: shorter follows a change faster, and is less sure. */
  readonly halfLifeTurns: number
  /** Share of the turns that every arm gets whatever it has shown, in [0, 1 / arms]. */
  readonly floorShare: number
}

export interface KeepRuleBanditState {
  readonly arms: Readonly<Record<string, RunningGainState>>
  readonly best: string
}

/** An arm is published when it is better than the baseline by so many standard errors of the difference, */
const TAKE = 2
/** and until it is no longer by so many: between the two nothing changes, so that noise does not. */
const LEAVE = 1

/**
 * Which keep rule gradients should use, when what a rule is worth changes with the stage of training. One turn trains by
 * one rule, and its reward is the gain in held-out alpha per trained position, measured in pairs, with its error. The rule
 * of the next turn is a Thompson draw: each arm's gain is drawn from its running estimate, and the largest draw wins; an
 * arm that was never measured goes first, and every arm has its floor share. Measurements lose half their weight every
 * half-life, so an arm that was not tried for long becomes uncertain and is tried again.
 */
export class KeepRuleBandit {
  readonly #options: KeepRuleBanditOptions
  readonly #arms: ReadonlyMap<string, RunningGain>
  #best: string

  /** `state`: of arms by these names; others begin with nothing. Throws RangeError. */
  constructor(options: KeepRuleBanditOptions, state?: KeepRuleBanditState) {
    const { arms, baseline, halfLifeTurns, floorShare } = options
    if (!arms.includes(baseline))
      throw new RangeError(`the baseline ${baseline} is none of the arms ${arms.join(', ')}`)
    if (new Set(arms).size < arms.length) throw new RangeError(`two arms have one name: ${arms.join(', ')}`)
    if (!(halfLifeTurns > 0)) throw new RangeError(`half-life must be positive, got ${halfLifeTurns}`)
    if (!(floorShare >= 0 && floorShare * arms.length <= 1)) {
      throw new RangeError(`${arms.length} arms cannot have ${floorShare} of the turns each`)
    }
    this.#options = options
    this.#arms = new Map(arms.map((arm) => [arm, new RunningGain(state?.arms[arm])]))
    this.#best = state !== undefined && this.#arms.has(state.best) ? state.best : baseline
  }

  /** The arm of the next turn, of those that there is something to train on for. `random`: uniform in [0, 1). */
  choose(random: () => number, arms: readonly string[] = this.#options.arms): string {
    const { floorShare } = this.#options
    if (random() < floorShare * arms.length) return arms[Math.floor(random() * arms.length)]!
    let chosen = arms[0]!
    let most = Number.NEGATIVE_INFINITY
    for (const arm of arms) {
      const { gain, standardError } = this.value(arm)
      // Of several that were never measured the first: their draws are infinite.
      const draw = standardError === Infinity ? Infinity : gain + standardError * normal(random)
      if (draw > most) [chosen, most] = [arm, draw]
    }
    return chosen
  }

  /** The outcome of a turn by `arm`. Throws RangeError where there is no such arm. */
  reward(arm: string, measured: PairedGain): void {
    const rewarded = this.#armNamed(arm)
    const factor = 0.5 ** (1 / this.#options.halfLifeTurns)
    for (const one of this.#arms.values()) one.decay(factor)
    rewarded.add(measured)
    this.#judge()
  }

  /** What an arm gains per trained position; `count` in turns, older ones counting less. */
  value(arm: string): PairedGain & { readonly count: number } {
    return this.#armNamed(arm).value
  }

  /** What an arm gains more than the baseline; its error is infinite until both were measured. */
  overBaseline(arm: string): PairedGain & { readonly count: number } {
    const [one, base] = [this.value(arm), this.value(this.#options.baseline)]
    if (arm === this.#options.baseline) return { gain: 0, standardError: 0, count: one.count }
    return {
      gain: one.gain - base.gain,
      standardError: Math.hypot(one.standardError, base.standardError),
      count: one.count,
    }
  }

  /** The rule to publish: the arm that beats the baseline by more than noise, else the baseline. */
  best(): string {
    return this.#best
  }

  get state(): KeepRuleBanditState {
    return { arms: Object.fromEntries([...this.#arms].map(([arm, one]) => [arm, one.state])), best: this.#best }
  }

  #judge(): void {
    const { arms, baseline } = this.#options
    const lead = (arm: string, errors: number): number => {
      const { gain, standardError } = this.overBaseline(arm)
      return gain - errors * standardError
    }
    const stays = this.#best !== baseline && lead(this.#best, LEAVE) > 0
    const holder = stays ? this.#best : baseline
    const rival = arms.reduce((most, arm) => (lead(arm, TAKE) > lead(most, TAKE) ? arm : most), holder)
    this.#best = lead(rival, TAKE) > 0 && lead(rival, TAKE) > lead(holder, LEAVE) ? rival : holder
  }

  #armNamed(arm: string): RunningGain {
    const one = this.#arms.get(arm)
    if (one === undefined) throw new RangeError(`no arm is called ${arm}`)
    return one
  }
}

/** Box-Muller. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
