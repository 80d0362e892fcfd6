/**
 * From a live stream: the recorded windows in order through the streaming selector, the closed form solved again and again
 * on what was kept so far, more often at first, when it changes most. An arm's curve says what it was worth after each
 * solve: `steps` positions had arrived, `positions` of them were kept; CPU seconds of adding and solving.
 */
import type { ArmName, ArmResult, CurvePoint } from './arm-result.js'
import { ClosedFormSolver } from './closed-form-solver.js'
import { positionsOf, type Dataset, type SelectionWindow } from './dataset.js'
import { calibrate, evaluateArm, meanAlpha, type ScoreDraft } from './evaluate.js'
import { CpuMeter, cpuSeconds } from './cpu-clock.js'
import { armProgress, type Experiment } from './experiment.js'
import { streamLearner, type OnlineArm } from './stream-learners.js'

/** Positions before the first solve, and how much more there are before the next. */
const FIRST_SOLVE = 1000
const GROWTH = 1.3
/** Points of curves are judged on every third held-out window. */
const CURVE_EVERY = 3
const QUICK = { windows: 80, arms: 3 }
const HALF = 0.5

const whole = { unit: 'sample', keep: HALF, seed: 1 } as const
const tokens = { unit: 'token', keep: HALF, seed: 1 } as const

const onlineArms: readonly OnlineArm[] = [
  { ...whole, selector: 'full', keep: 1 },
  ...[1, 2, 3].map((seed) => ({ ...whole, selector: 'random', seed })),
  { ...whole, selector: 'flatness' },
  { ...whole, selector: 'least-flat' },
  { ...tokens, selector: 'least-flat' },
  { ...whole, selector: 'draft-gain' },
  { ...tokens, selector: 'learned' },
  { ...tokens, selector: 'flatness' },
  { ...tokens, selector: 'draft-gain' },
  { ...whole, selector: 'draft-gap' },
  { ...whole, selector: 'entropy' },
  { ...tokens, selector: 'random' },
]

export const runOnline: Experiment = async (dataset, { results, threads, quick, say }) => {
  const windows = quick ? dataset.training.slice(0, QUICK.windows) : dataset.training
  const available = positionsOf(windows)
  const named = onlineArms.slice(0, quick ? QUICK.arms : undefined).map((arm) => {
    return { ...arm, experiment: 'online' as const, target: dataset.name, available, matched: 'steps' as const }
  })
  const missing = named.filter((arm) => !results.has(arm))
  say(`online, ${dataset.name}: ${missing.length} of ${named.length} arms to do`)
  const solver = await ClosedFormSolver.open({ ...dataset, threads })
  const done = armProgress(missing.length, () => performance.now(), say)
  try {
    for (const arm of missing) {
      const result = { ...arm, ...(await runStream(arm, windows, dataset, solver)) }
      await results.add(result)
      done(`${arm.selector} ${arm.unit} #${arm.seed}: alpha ${result.alpha.toFixed(4)}, ${result.positions.kept} kept`)
    }
  } finally {
    await solver.release()
  }
}

async function runStream(
  arm: OnlineArm,
  windows: readonly SelectionWindow[],
  dataset: Dataset,
  solver: ClosedFormSolver,
): Promise<Omit<ArmResult, keyof ArmName>> {
  const learner = streamLearner(arm, solver, dataset.calibration)
  const curve: CurvePoint[] = []
  const meter = new CpuMeter<'selection' | 'training'>(cpuSeconds)
  let [arrived, kept, solveAt] = [0, 0, FIRST_SOLVE]
  let score: ScoreDraft | undefined
  for (const [at, window] of windows.entries()) {
    const weights = await meter.spend('selection', () => learner.select(window))
    arrived += window.rows.length
    if (weights !== undefined) {
      await meter.spend('training', () => learner.add(window, weights))
      kept += weights.filter((weight) => weight > 0).length
    }
    if (arrived < solveAt && at < windows.length - 1) continue
    solveAt = GROWTH * arrived
    score = solver.scoreOf(await meter.spend('training', async () => solver.solve(await learner.total())))
    curve.push({
      steps: arrived,
      positions: kept,
      cpuSeconds: meter.spentOn('training'),
      alpha: await curveAlpha(score, dataset),
    })
  }
  if (score === undefined) throw new RangeError('no window arrived')
  return {
    positions: { kept, used: kept },
    steps: curve.length,
    cpuSeconds: { selection: meter.spentOn('selection'), training: meter.spentOn('training') },
    ...(await evaluateArm(score, dataset)),
    curve,
  }
}

async function curveAlpha(score: ScoreDraft, { calibration, heldOut }: Dataset): Promise<number> {
  const some = heldOut.filter((_, i) => i % CURVE_EVERY === 0)
  return meanAlpha(score, some, await calibrate(score, calibration))
}
