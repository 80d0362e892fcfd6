/**
 * AdamW over groups of parameters with a learning rate of their own, and a guard around it: a step whose loss or gradient
 * is not finite changes nothing in any group, and after several such steps in a row the last state known to be good comes
 * back.
 */
import { AdamW, type OptimizerState } from './adamw.js'
import { linearWarmUp } from './schedule.js'

export interface GuardedOptions {
  readonly learningRate: number
  readonly warmUpSteps: number
  readonly weightDecay: number
  /** Applied steps between two copies of a state known to be good. */
  readonly stepsPerGoodCopy: number
  /** Steps skipped in a row after which the last good state comes back. */
  readonly skipsBeforeRestore: number
  /** Share of the learning rate after so many steps, for training that has an end; default always 1. */
  readonly decay?: (steps: number) => number
}

export interface ParameterGroup {
  readonly shapes: ReadonlyMap<string, readonly number[]>
  /** Share of the learning rate. */
  readonly rate: number
}

export interface GuardedStep {
  /** Over all groups, before clipping. */
  readonly gradientNorm: number
  /** false: loss or gradient was not finite, and nothing changed. */
  readonly applied: boolean
  /** Too many steps in a row were skipped: the last good state is back. */
  readonly restored: boolean
}

export class GuardedOptimizer {
  readonly #groups: readonly { readonly adam: AdamW; readonly rate: number }[]
  readonly #options: GuardedOptions
  #good: readonly OptimizerState[] = []
  #sinceGood = 0
  #skippedInARow = 0

  /** Parameters are zero until `restart` or `load`. */
  constructor(groups: readonly ParameterGroup[], options: GuardedOptions) {
    const { weightDecay } = options
    this.#groups = groups.map(({ shapes, rate }) => ({ adam: new AdamW(shapes, { weightDecay }), rate }))
    this.#options = options
  }

  /** Steps applied since the start. */
  get steps(): number {
    return this.#groups[0]!.adam.state.steps
  }

  /** Views of the live arrays of all groups. Whoever changes them calls `keep`. */
  get parameters(): Map<string, Float32Array> {
    return new Map(this.#groups.flatMap(({ adam }) => [...adam.state.parameters]))
  }

  /** Where the gradients of all groups lie: see AdamW.gradients. */
  get gradients(): Map<string, Float32Array> {
    return new Map(this.#groups.flatMap(({ adam }) => [...adam.gradients]))
  }

  /** One per group, copies: everything that a later process needs to continue exactly here. */
  get states(): OptimizerState[] {
    return this.#groups.map(({ adam }) => copyState(adam.state))
  }

  load(states: readonly OptimizerState[]): void {
    this.#groups.forEach(({ adam }, i) => adam.load(states[i]!))
    this.keep()
  }

  restart(parameters: ReadonlyMap<string, Float32Array>): void {
    for (const { adam } of this.#groups) adam.loadParameters(parameters)
    this.keep()
  }

  step(loss: number, gradients: ReadonlyMap<string, Float32Array>): GuardedStep {
    const gradientNorm = Math.hypot(...this.#groups.map(({ adam }) => adam.receive(gradients)))
    // Judged before any group moves: all step, or none.
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      return { gradientNorm, applied: false, restored: this.#skip() }
    }
    const { learningRate, warmUpSteps, stepsPerGoodCopy, decay = () => 1 } = this.#options
    const now = learningRate * linearWarmUp(this.steps, warmUpSteps) * decay(this.steps)
    for (const { adam, rate } of this.#groups) adam.apply(now * rate)
    this.#skippedInARow = 0
    if (++this.#sinceGood >= stepsPerGoodCopy) this.keep()
    return { gradientNorm, applied: true, restored: false }
  }

  /** Copies the present state as the one to come back to, unless a number in it is not finite. */
  keep(): void {
    this.#sinceGood = 0
    const states = this.states
    const isFinite = states.every(({ parameters }) =>
      [...parameters.values()].every((values) => values.every(Number.isFinite)),
    )
    if (isFinite || this.#good.length === 0) this.#good = states
  }

  #skip(): boolean {
    if (++this.#skippedInARow < this.#options.skipsBeforeRestore) return false
    this.#groups.forEach(({ adam }, i) => adam.load(this.#good[i]!))
    this.#skippedInARow = 0
    return true
  }
}

function copyState(state: OptimizerState): OptimizerState {
  const copy = (values: ReadonlyMap<string, Float32Array>) =>
    new Map([...values].map(([name, data]) => [name, data.slice()]))
  return {
    steps: state.steps,
    parameters: copy(state.parameters),
    firstMoments: copy(state.firstMoments),
    secondMoments: copy(state.secondMoments),
  }
}
