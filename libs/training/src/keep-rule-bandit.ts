import { normal } from '@plateau/speculation'
import type { PairedGain } from './paired-gain.js'
import { RunningGain, type RunningGainState } from './running-gain.js'

export interface KeepRuleBanditOptions {
  /** Rules that may be tried, by name; the baseline among them. */
  readonly arms: readonly string[]
  /** What every other arm must beat: keeping at random. */
  readonly baseline: string
  /** Turns after which a measurement counts half: shorter follows a change faster, and is less sure. */
  readonly halfLifeTurns: number
  /** Share of the turns that other rules than the standing one are tried in, in [0, 1]: what being wrong may cost. */
  readonly trialShare: number
}

export interface KeepRuleBanditState {
  readonly arms: Readonly<Record<string, RunningGainState>>
  readonly best: string
}

/** Of the trials every arm has an equal part in this share, whatever it has shown. */
const EQUAL = 0.5

/** An arm is published when it is better than the baseline by so many standard errors of the difference, */
const TAKE = 2
/** and until it is no longer by so many: between the two nothing changes, so that noise does not. */
const LEAVE = 1

/**
 * Which keep rule gradients should use, when what a rule is worth changes with the stage of training. One turn trains by
 * one rule, and its reward is the gain in held-out alpha per trained position, measured in pairs, with its error. Most turns
 * are by the standing rule, at first the baseline: a rule that does harm is tried too rarely to do much of it. In the others
 * an arm that was never measured goes first; then half are drawn evenly, half by Thompson: each arm's gain is drawn from its
 * running estimate, and the largest draw wins. Measurements lose half their weight every half-life, so an arm that was not
 * tried for long becomes uncertain and is tried again.
 */
export class KeepRuleBandit {
  readonly #options: KeepRuleBanditOptions
  readonly #arms: ReadonlyMap<string, RunningGain>
  #best: string

  /** `state`: of arms by these names; others begin with nothing. Throws RangeError. */
  constructor(options: KeepRuleBanditOptions, state?: KeepRuleBanditState) {
    const { arms, baseline, halfLifeTurns, trialShare } = options
    if (!arms.includes(baseline))
      throw new RangeError(`the baseline ${baseline} is none of the arms ${arms.join(', ')}`)
    if (new Set(arms).size < arms.length) throw new RangeError(`two arms have one name: ${arms.join(', ')}`)
    if (!(halfLifeTurns > 0)) throw new RangeError(`half-life must be positive, got ${halfLifeTurns}`)
    if (!(trialShare >= 0 && trialShare <= 1)) throw new RangeError(`a share of trials is no ${trialShare}`)
    this.#options = options
    this.#arms = new Map(arms.map((arm) => [arm, new RunningGain(state?.arms[arm])]))
    this.#best = state !== undefined && this.#arms.has(state.best) ? state.best : baseline
  }

  /**
   * The arm of the next turn, of those that there is something to train on for. `standing`: what turns are by that try
   * nothing. `random`: uniform in [0, 1).
   */
  choose(random: () => number, arms: readonly string[] = this.#options.arms, standing = this.best()): string {
    const others = arms.filter((arm) => arm !== standing)
    const isTrial = random() < this.#options.trialShare
    if (others.length === 0 || (arms.includes(standing) && !isTrial)) return standing
    const unknown = others.find((arm) => this.value(arm).standardError === Infinity)
    if (unknown !== undefined) return unknown
    return random() < EQUAL ? others[Math.floor(random() * others.length)]! : this.#draw(random, others)
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

  /** Thompson's: the arm whose gain, drawn from what is known of it, is the largest. */
  #draw(random: () => number, arms: readonly string[]): string {
    const draws = arms.map((arm) => {
      const { gain, standardError } = this.value(arm)
      return gain + standardError * normal(random)
    })
    return arms[draws.indexOf(Math.max(...draws))]!
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
