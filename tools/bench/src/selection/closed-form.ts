/**
 * The head in closed form, solved on what each arm selected. Nothing is drawn but what a selector draws, so one arm of a
 * selector that draws nothing is exact, and draws of "random" show how far apart equal arms lie.
 */
import { weightsOf } from '@plateau/flatness'
import { closedFormArms, type ClosedFormArm } from './closed-form-arms.js'
import { ClosedFormSolver } from './closed-form-solver.js'
import { choose, keptPositions, type ChosenWindow } from './choose.js'
import { firstPositions, positionsOf, type Dataset, type SelectionWindow } from './dataset.js'
import { evaluateArm } from './evaluate.js'
import { cpuSeconds } from './cpu-clock.js'
import { armProgress, type Experiment } from './experiment.js'
import { LearnedBins } from './learned-bins.js'
import type { ArmName, ArmResult } from './arm-result.js'
import type { ResultsFile } from './results-file.js'

/** Beside all training data. */
const LITTLE = 10_000
/** Of a quick run: so many arms of little data, before the first that has to learn. */
const QUICK_ARMS = 2

export const runClosedForm: Experiment = async (dataset, { results, threads, quick, say }) => {
  const all = closedFormArms(quick ? [LITTLE] : [positionsOf(dataset.training), LITTLE])
  const named = all.map((arm) => ({
    ...arm,
    experiment: 'closed-form' as const,
    target: dataset.name,
    matched: 'steps' as const,
  }))
  const missing = named.filter((arm) => !results.has(arm)).slice(0, quick ? QUICK_ARMS : undefined)
  say(`closed form, ${dataset.name}: ${missing.length} of ${named.length} arms to do`)
  const solver = await ClosedFormSolver.open({ ...dataset, threads })
  const done = armProgress(missing.length, () => performance.now(), say)
  try {
    const learned = new Map<number, LearnedBins>()
    for (const arm of missing) {
      const windows = firstPositions(dataset.training, arm.available)
      const bins = learned.get(arm.available) ?? new LearnedBins(windows, dataset.calibration, solver, say)
      learned.set(arm.available, bins)
      const twin = await twinOf(arm, bins, results)
      const result = { ...(twin ?? (await runArm(arm, windows, { dataset, solver, bins }))), ...arm }
      await results.add(result)
      const { selector, unit, keep, seed, available, alpha, logitScale } = result
      done(
        `${selector} ${unit} ${keep} #${seed} of ${available}: alpha ${alpha.toFixed(4)}, scale ${logitScale.toFixed(2)}`,
      )
    }
  } finally {
    await solver.release()
  }
}

interface Tools {
  readonly dataset: Dataset
  readonly solver: ClosedFormSolver
  readonly bins: LearnedBins
}

type Outcome = Omit<ArmResult, keyof ArmName>

/** Where the search found nothing beyond noise "learned" keeps what "random" keeps, or weighs all alike: once is enough. */
async function twinOf(arm: ArmName, bins: LearnedBins, results: ResultsFile): Promise<Outcome | undefined> {
  if (arm.selector !== 'learned' || !(await bins.areEqual())) return undefined
  const twin = results.get(
    arm.keep === 1 ? { ...arm, selector: 'full', unit: 'sample' } : { ...arm, selector: 'random' },
  )
  if (twin === undefined) return undefined
  const { selection, training } = twin.cpuSeconds
  return { ...twin, cpuSeconds: { selection: selection + bins.cpuSeconds, training } }
}

async function runArm(
  arm: ClosedFormArm,
  windows: readonly SelectionWindow[],
  { dataset, solver, bins }: Tools,
): Promise<Outcome> {
  // It has learned by now: that its weights are not equal is known.
  const learning = arm.selector === 'learned' ? bins.cpuSeconds : 0
  const began = cpuSeconds()
  const chosen = await chosenBy(arm, windows, bins)
  const selected = cpuSeconds()
  const sums = solver.empty()
  for (const { window, weights } of chosen) await solver.add(sums, window.rows, weights)
  const head = await solver.solve(sums)
  const trained = cpuSeconds()
  const kept = keptPositions(chosen)
  return {
    positions: { kept, used: kept },
    steps: 0,
    cpuSeconds: { selection: learning + selected - began, training: trained - selected },
    ...(await evaluateArm(solver.scoreOf(head), dataset)),
  }
}

async function chosenBy(
  arm: ClosedFormArm,
  windows: readonly SelectionWindow[],
  bins: LearnedBins,
): Promise<readonly ChosenWindow[]> {
  switch (arm.selector) {
    case 'learned': {
      const values = await bins.values()
      return arm.keep === 1
        ? windows.map((window) => ({ window, weights: Float32Array.from(values(window)) }))
        : choose(windows, arm, values)
    }
    case 'weighted-flatness':
      return weighted(windows, ({ flatness }, means) => flatness.map((f) => f / means.flatness))
    case 'weighted-inverse-flatness':
      return weighted(windows, ({ flatness }, means) => weightsOf('inverse-flatness', flatness, means.inverse))
    default:
      return choose(windows, arm)
  }
}

interface Means {
  /** Of f over all positions. */
  readonly flatness: number
  /** Of 1 / f. */
  readonly inverse: number
}

function weighted(
  windows: readonly SelectionWindow[],
  weights: (statistics: SelectionWindow['statistics'], means: Means) => Float32Array,
): ChosenWindow[] {
  const all = windows.flatMap(({ statistics }) => [...statistics.flatness])
  const mean = (of: (f: number) => number) => all.reduce((sum, f) => sum + of(f), 0) / all.length
  const means = { flatness: mean((f) => f), inverse: mean((f) => 1 / f) }
  return windows.map((window) => ({ window, weights: weights(window.statistics, means) }))
}
