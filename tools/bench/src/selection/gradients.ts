/**
 * The feature-fed head trained by gradients, from a common warm start: the closed form of the reference windows, which no
 * arm trains on, with a decoder layer added.
 */
import { prepareDraftTarget } from '@plateau/inference'
import type { Dataset, DatasetName } from './dataset.js'
import type { Experiment, ExperimentRun } from './experiment.js'
import { gradientArms, lateArms, type SteppedArm } from './gradient-arms.js'
import { runStepped } from './stepped-run.js'
import { featureHeadSteps } from './steps/feature-head-steps.js'

interface Setting {
  readonly experiment: 'gradients' | 'gradients-late'
  readonly steps: number
  readonly rates: readonly number[]
  readonly arms: readonly SteppedArm[]
}

const settings: Readonly<Record<DatasetName, Setting>> = {
  demo: { experiment: 'gradients', steps: 300, rates: [1e-3, 2e-3, 4e-3], arms: gradientArms.demo },
  smollm2: { experiment: 'gradients', steps: 200, rates: [2e-4, 5e-4, 1e-3], arms: gradientArms.smollm2 },
}
/** The rate is 300 steps' second best, which goes on to rise over 900; there was no sweep over 1500. */
const late: Setting = { experiment: 'gradients-late', steps: 1500, rates: [2e-3], arms: lateArms }
const QUICK = { steps: 25, arms: 3 }

export const runGradients: Experiment = (dataset, run) => runSetting(settings[dataset.name], dataset, run)
/** On the small target only: an arm takes minutes there. */
export const runLateGradients: Experiment = async (dataset, run) => {
  if (dataset.name === 'demo') await runSetting(late, dataset, run)
}

async function runSetting(setting: Setting, dataset: Dataset, run: ExperimentRun): Promise<void> {
  const { reference, target: model } = dataset
  const draft = featureHeadSteps(reference, prepareDraftTarget(model.target, reference.config), run.threads)
  const { steps, rates, arms } = setting
  const experiment = { ...setting, draft, dataset, steps: run.quick ? QUICK.steps : steps }
  const plan = run.quick ? { arms: arms.slice(0, QUICK.arms), rates: rates.slice(0, 1) } : { arms, rates }
  try {
    await runStepped(experiment, plan, run)
  } finally {
    await draft.release()
  }
}
