import type { PairedGain } from './paired-gain.js'

/** Sums over the measurements (g, se), each times its weight d^a. */
export interface RunningGainState {
  /** Of 1 / se^2. */
  readonly precision: number
  /** Of g / se^2. */
  readonly moment: number
  /** Of g^2 / se^2. */
  readonly squares: number
  /** Of 1. */
  readonly count: number
  /** Of d^a, that is of the squared weights. */
  readonly countSquares: number
}

const nothing: RunningGainState = { precision: 0, moment: 0, squares: 0, count: 0, countSquares: 0 }

/**
 * What repeated measurements (g, se) of one gain say together; d^a is the weight of one that is a steps old:
 *
 *   gain = sum d^a g / se^2 / sum d^a / se^2        standard error = sqrt(max(1, B) / sum d^a / se^2)
 *
 * B is Birge's ratio, how much the measurements scatter beyond their own errors: chi^2 over its expectation. What ages
 * loses precision and keeps its mean, so that a gain that is not measured any more becomes uncertain.
 */
export class RunningGain {
  #state: RunningGainState

  constructor(state: RunningGainState = nothing) {
    this.#state = state
  }

  /** A measurement without a finite error above 0 proves nothing and is left out. */
  add({ gain, standardError }: PairedGain): void {
    const precision = 1 / standardError ** 2
    if (!(precision > 0) || precision === Infinity || !Number.isFinite(gain)) return
    const state = this.#state
    this.#state = {
      precision: state.precision + precision,
      moment: state.moment + gain * precision,
      squares: state.squares + gain * gain * precision,
      count: state.count + 1,
      countSquares: state.countSquares + 1,
    }
  }

  /** Everything so far counts `factor` times as much, 0 <= factor <= 1. */
  decay(factor: number): void {
    const { precision, moment, squares, count, countSquares } = this.#state
    this.#state = {
      precision: factor * precision,
      moment: factor * moment,
      squares: factor * squares,
      count: factor * count,
      countSquares: factor * factor * countSquares,
    }
  }

  /** Without a measurement: 0, with an infinite error. */
  get value(): PairedGain & { readonly count: number } {
    const { precision, moment, count } = this.#state
    if (precision === 0) return { gain: 0, standardError: Infinity, count }
    return { gain: moment / precision, standardError: Math.sqrt(Math.max(1, this.#scatter) / precision), count }
  }

  get state(): RunningGainState {
    return this.#state
  }

  /** B; 1 as long as there is less than two measurements' worth. */
  get #scatter(): number {
    const { precision, moment, squares, count, countSquares } = this.#state
    if (count ** 2 < 2 * countSquares * (1 - 1e-9)) return 1
    return (squares - moment ** 2 / precision) / (count - countSquares / count)
  }
}
