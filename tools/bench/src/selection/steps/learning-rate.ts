import type { DraftLoss } from '@plateau/causal-lm'
import type { CurvePoint } from '../arm-result.js'

/** One run of a sweep: full data, the arms' own steps and schedule. */
export interface RateTrial {
  readonly experiment: string
  readonly target: string
  readonly loss: DraftLoss
  readonly learningRate: number
  readonly steps: number
  /** On the calibration windows, calibrated: what arms are judged on has no say. */
  readonly alpha: number
  readonly curve: readonly CurvePoint[]
}

export interface RateSweep {
  /** Those done before. */
  readonly trials: readonly RateTrial[]
  readonly rates: readonly number[]
  readonly run: (learningRate: number) => Promise<RateTrial>
}

/** The rate of the best trial; what was tried before is not tried again. */
export async function bestRate({ trials, rates, run }: RateSweep): Promise<number> {
  const all: RateTrial[] = []
  for (const rate of rates) {
    all.push(trials.find(({ learningRate }) => learningRate === rate) ?? (await run(rate)))
  }
  return all.reduce((best, trial) => (trial.alpha > best.alpha ? trial : best)).learningRate
}
