/** A small causal language model as the draft, from nothing: the stage that has most to learn. */
import type { Experiment } from './experiment.js'
import { causalLmArms } from './gradient-arms.js'
import { runStepped } from './stepped-run.js'
import { causalLmSteps } from './steps/causal-lm-steps.js'

const SIZES = { hiddenSize: 128, layers: 2 }
const STEPS = 400
const RATES = [1.5e-3, 3e-3, 6e-3]
const QUICK = { steps: 25, arms: 3 }

export const runCausalLm: Experiment = async (dataset, run) => {
  const draft = causalLmSteps(dataset.target, SIZES, run.threads)
  const experiment = { experiment: 'causal-lm', draft, dataset, steps: run.quick ? QUICK.steps : STEPS } as const
  const arms = causalLmArms[dataset.name]
  const plan = run.quick ? { arms: arms.slice(0, QUICK.arms), rates: RATES.slice(0, 1) } : { arms, rates: RATES }
  try {
    await runStepped(experiment, plan, run)
  } finally {
    await draft.release()
  }
}
