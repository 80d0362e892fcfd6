/**
 * The feature-fed head trained by gradients, from a common warm start: the closed form of the reference windows, which no
 * arm trains on, with a decoder layer added.
 */
import { prepareDraftTarget } from '@plateau/inference'
import type { DatasetName } from './dataset.js'
import type { Experiment } from './experiment.js'
import { gradientArms } from './gradient-arms.js'
import { runStepped } from './stepped-run.js'
import { featureHeadSteps } from './steps/feature-head-steps.js'

interface Setting {
  readonly steps: number
  readonly rates: readonly number[]
}

const settings: Readonly<Record<DatasetName, Setting>> = {
  demo: { steps: 300, rates: [1e-3, 2e-3, 4e-3] },
  smollm2: { steps: 200, rates: [2e-4, 5e-4, 1e-3] },
}
const QUICK = { steps: 25, arms: 3 }

export const runGradients: Experiment = async (dataset, run) => {
  const { reference, target: model, name } = dataset
  const draft = featureHeadSteps(reference, prepareDraftTarget(model.target, reference.config), run.threads)
  const { steps, rates } = settings[name]
  const experiment = { experiment: 'gradients', draft, dataset, steps: run.quick ? QUICK.steps : steps } as const
  const plan = run.quick
    ? { arms: gradientArms[name].slice(0, QUICK.arms), rates: rates.slice(0, 1) }
    : { arms: gradientArms[name], rates }
  try {
    await runStepped(experiment, plan, run)
  } finally {
    await draft.release()
  }
}
