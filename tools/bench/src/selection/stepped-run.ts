import type { DraftLoss } from '@plateau/causal-lm'
import { armProgress, type ExperimentRun } from './experiment.js'
import type { SteppedArm } from './gradient-arms.js'
import { armName, rateTrial, runSteppedArm, type SteppedExperiment } from './stepped-experiment.js'
import { bestRate } from './steps/learning-rate.js'
import { RateTrials } from './steps/rate-trials.js'

export interface SteppedPlan {
  readonly arms: readonly SteppedArm[]
  /** Peaks of the learning rate to choose from, once for each loss, on full data. */
  readonly rates: readonly number[]
}

/** Runs the arms that are missing. A loss's learning rate is chosen before its first arm. */
export async function runStepped<Model>(
  experiment: SteppedExperiment<Model>,
  { arms, rates }: SteppedPlan,
  { results, ...run }: ExperimentRun,
): Promise<void> {
  const say = (line: string): void => run.say(line)
  const trials = await RateTrials.beside(results.path, experiment)
  const rateOf = (loss: DraftLoss): Promise<number> =>
    bestRate({
      rates,
      trials: trials.of(loss),
      run: async (rate) => {
        const trial = await rateTrial(experiment, loss, rate)
        say(`  learning rate ${rate}, ${loss}: alpha ${trial.alpha.toFixed(4)} on the calibration windows`)
        await trials.add(trial)
        return trial
      },
    })
  const missing = arms.filter((arm) => !results.has(armName(experiment, arm)))
  const done = armProgress(missing.length, () => Date.now(), say)
  for (const arm of missing) {
    const result = await runSteppedArm(experiment, arm, await rateOf(arm.loss))
    await results.add(result)
    done(`${arm.selector} ${arm.unit} ${arm.keep} ${arm.loss} seed ${arm.seed}: alpha ${result.alpha.toFixed(4)}`)
  }
}
