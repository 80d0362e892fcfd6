import { featureHeadInputs, type FeatureHead, type FeatureHeadConfig } from '@plateau/causal-lm'
import { RidgeAccumulator, RidgeSolver, type DraftRows, type DraftTarget } from '@plateau/inference'
import { decaySums, emptySums, type RidgeSums } from '@plateau/training'

export interface ClosedFormOptions {
  readonly lambda: number
  readonly halfLifePositions: number
  readonly threads: number
}

/** Positions between two decays: the past is weighed down in small steps, not at every window. */
const DECAY_EVERY = 512
/**
 * Random products are held to zero more strongly than the pair itself: with few positions they would fit noise. Measured
 * on the demo target, 512 products: alpha after 1,000 positions .36 to .42, after 30,000 no difference.
 */
const BILINEAR_LAMBDA = 10

/** What has to be saved: the sums and how far the next decay is. */
export interface ClosedFormState {
  readonly sums: RidgeSums
  readonly sinceDecay: number
}

/** The sums of the ridge regression, kept up to date with the stream and weighed down with age. */
export class ClosedForm {
  readonly #accumulator: RidgeAccumulator
  readonly #solver: RidgeSolver
  readonly #options: ClosedFormOptions
  readonly #lambda: Float64Array
  readonly #sums: RidgeSums
  #sinceDecay: number

  private constructor(
    accumulator: RidgeAccumulator,
    solver: RidgeSolver,
    config: FeatureHeadConfig,
    options: ClosedFormOptions,
    state: ClosedFormState,
  ) {
    this.#accumulator = accumulator
    this.#solver = solver
    this.#lambda = new Float64Array(featureHeadInputs(config)).fill(options.lambda)
    this.#lambda.fill(BILINEAR_LAMBDA * options.lambda, 2 * config.hiddenSize)
    this.#options = options
    this.#sums = state.sums
    this.#sinceDecay = state.sinceDecay
  }

  /** `base` brings the fixed random features. Without a state the sums are empty. */
  static async open(
    base: FeatureHead,
    target: DraftTarget,
    options: ClosedFormOptions,
    state: ClosedFormState | undefined,
  ): Promise<ClosedForm> {
    const accumulator = await RidgeAccumulator.create(base, target, options.threads)
    const { config } = base
    const start = state ?? { sums: emptySums(featureHeadInputs(config), config.hiddenSize), sinceDecay: 0 }
    const solver = await RidgeSolver.create({ threads: options.threads })
    return new ClosedForm(accumulator, solver, config, options, start)
  }

  async add(rows: DraftRows): Promise<void> {
    await this.#accumulator.add(this.#sums, rows)
    this.#sinceDecay += rows.length
    if (this.#sinceDecay < DECAY_EVERY) return
    await this.#accumulator.flush(this.#sums)
    decaySums(this.#sums, 0.5 ** (this.#sinceDecay / this.#options.halfLifePositions))
    this.#sinceDecay = 0
  }

  /** The input projection [H, 2H + m], as the head stores it. Throws RangeError when the sums cannot be solved. */
  async solve(): Promise<Float32Array> {
    await this.#accumulator.flush(this.#sums)
    const { inputs, outputs } = this.#sums
    const w = await this.#solver.solve(this.#sums, this.#lambda)
    const projection = new Float32Array(w.length)
    for (let i = 0; i < inputs; i++) for (let o = 0; o < outputs; o++) projection[o * inputs + i] = w[i * outputs + o]!
    return projection
  }

  /** The live sums with nothing waiting: use them before the next `add`. */
  async state(): Promise<ClosedFormState> {
    await this.#accumulator.flush(this.#sums)
    return { sums: this.#sums, sinceDecay: this.#sinceDecay }
  }

  async release(): Promise<void> {
    await this.#accumulator.release()
    await this.#solver.release()
  }
}
