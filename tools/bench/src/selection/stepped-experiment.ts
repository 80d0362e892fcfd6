/** Experiments that train step by step: every arm the same code, steps, rows per step and schedule, and a seed of its own. */
import type { DraftLoss } from '@plateau/causal-lm'
import { seededRandom } from '@plateau/speculation'
import { KeepRuleBandit } from '@plateau/training'
import type { ArmName, ArmResult } from './arm-result.js'
import { choose, keptPositions, type ChosenWindow } from './choose.js'
import { positionsOf, type Dataset, type SelectionWindow } from './dataset.js'
import { evaluateArm } from './evaluate.js'
import type { SteppedArm } from './gradient-arms.js'
import { CpuMeter, cpuSeconds, type CpuSeconds } from './cpu-clock.js'
import { CurveJudge } from './steps/curve-judge.js'
import type { SteppedDraft } from './steps/draft-kind.js'
import { LearnedSource } from './steps/learned-source.js'
import type { RateTrial } from './steps/learning-rate.js'
import { fixedSource, type PieceSource } from './steps/piece-source.js'
import type { StepShape, WeightedRows } from './steps/step-pieces.js'
import { trainArm } from './steps/train-arm.js'

export interface SteppedExperiment<Model> {
  readonly experiment: Extract<ArmName['experiment'], 'gradients' | 'gradients-late' | 'causal-lm'>
  readonly draft: SteppedDraft<Model>
  readonly dataset: Pick<Dataset, 'name' | 'training' | 'calibration' | 'heldOut'>
  /** Of every arm, but full data at equal epochs. */
  readonly steps: number
  readonly cpu?: CpuSeconds
}

/** Of what "learned" chooses from, turn by turn, the share is kept of all windows; of "stratified-learned", of each domain. */
const LEARNED = 'learned'
const BASELINE = 'random'
const RULES = [BASELINE, 'flatness', 'least-flat', 'draft-gain']
const BANDIT = { arms: RULES, baseline: BASELINE, halfLifeTurns: 16, trialShare: 0.2 }
/** Of the share that arms keep, for full data at equal epochs: it has so many times the windows. */
const EPOCH_KEEP = 0.5
/** Curves are judged on every third held-out window, at a scale fitted on every fourth calibration window. */
const CURVE_SHARE = { heldOut: 3, calibration: 4 }
/**
 * Rows of a step on average and at most, of those that its pieces have room for: answers of any length fill so many, and
 * a step after a small one can take more.
 */
const ROWS = { average: 0.625, most: 0.75 }

export async function runSteppedArm<Model>(
  experiment: SteppedExperiment<Model>,
  arm: SteppedArm,
  learningRate: number,
): Promise<ArmResult> {
  const { draft, dataset, cpu = cpuSeconds } = experiment
  const meter = new CpuMeter<'choice'>(cpu)
  const judge = curveJudge(experiment)
  const source = await meter.spend('choice', () => sourceOf(experiment, arm))
  const steps = arm.matched === 'epochs' ? Math.round(experiment.steps / EPOCH_KEEP) : experiment.steps
  const shape = stepShape(draft)
  const run = { ...arm, steps, learningRate, selectedRows: Math.round(shape.mostRows * selectedShare(arm)) }
  const trained = await trainArm(draft, source, run, { alpha: (model) => judge.alpha(model), cpu })
  const evaluation = await evaluateArm((windows, scale) => draft.score(trained.model, windows, scale), dataset)
  const { selection, training } = trained.cpuSeconds
  return {
    ...armName(experiment, arm),
    positions: { kept: source.keptPositions(), used: trained.usedPositions },
    steps,
    cpuSeconds: { selection: selection + meter.spentOn('choice'), training },
    ...evaluation,
    curve: trained.curve,
  }
}

export function armName(
  { experiment, dataset }: Pick<SteppedExperiment<unknown>, 'experiment' | 'dataset'>,
  { selector, unit, keep, seed, matched, loss }: SteppedArm,
): ArmName {
  const available = positionsOf(dataset.training)
  return { experiment, target: dataset.name, available, loss, selector, unit, keep, seed, matched }
}

/** Full data at a learning rate, on the calibration windows: what arms are judged on has no say in the rate. */
export async function rateTrial<Model>(
  experiment: SteppedExperiment<Model>,
  loss: DraftLoss,
  learningRate: number,
): Promise<RateTrial> {
  const { draft, steps, dataset, cpu = cpuSeconds } = experiment
  const judge = curveJudge(experiment)
  const arm: SteppedArm = { selector: 'full', unit: 'sample', keep: 1, seed: 0, matched: 'steps', loss }
  const run = { ...arm, steps, learningRate, selectedRows: stepShape(draft).mostRows }
  const watch = { alpha: (model: Model) => judge.calibrationAlpha(model), cpu }
  const { curve } = await trainArm(draft, sourceOf(experiment, arm), run, watch)
  const { alpha } = curve.at(-1)!
  return { experiment: experiment.experiment, target: dataset.name, loss, learningRate, steps, alpha, curve }
}

type Source<Model> = PieceSource<Model> & {
  /** Different positions that count, once the arm is trained. */
  keptPositions(): number
}

function sourceOf<Model>(experiment: SteppedExperiment<Model>, arm: SteppedArm): Source<Model> {
  if (arm.selector.endsWith(LEARNED)) return learnedSource(experiment, arm)
  const chosen = choose(experiment.dataset.training, arm)
  return {
    ...fixedSource(rowsOf(chosen), stepShape(experiment.draft), seededRandom(arm.seed)),
    keptPositions: () => keptPositions(chosen),
  }
}

function learnedSource<Model>(experiment: SteppedExperiment<Model>, arm: SteppedArm): LearnedSource<Model> {
  const { dataset, draft } = experiment
  const { training, calibration } = dataset
  const windows = calibration.map(({ rows }) => rows)
  const judge = curveJudge(experiment)
  const keptBy = (rule: string) =>
    rowsOf(choose(training, { ...arm, selector: arm.selector.slice(0, -LEARNED.length) + rule }))
  const options = {
    keptBy: new Map(RULES.map((rule) => [rule, keptBy(rule)])),
    bandit: new KeepRuleBandit(BANDIT),
    budget: Math.round(arm.keep * positionsOf(training)),
    reward: {
      windows,
      scale: (model: Model) => judge.scale(model),
      alpha: async (model: Model, scale: number) => (await draft.score(model, windows, scale)).alpha,
    },
    random: seededRandom(arm.seed),
  }
  return new LearnedSource(options, stepShape(draft))
}

function curveJudge<Model>({ draft, dataset }: SteppedExperiment<Model>): CurveJudge<Model> {
  const oneIn = (every: number, windows: readonly SelectionWindow[]) =>
    windows.filter((_, i) => i % every === 0).map(({ rows }) => rows)
  return new CurveJudge(draft, {
    heldOut: oneIn(CURVE_SHARE.heldOut, dataset.heldOut),
    calibration: oneIn(CURVE_SHARE.calibration, dataset.calibration),
  })
}

function stepShape({ shape: { sequences, positions } }: Pick<SteppedDraft<unknown>, 'shape'>): StepShape {
  const rows = sequences * positions
  return { sequences, positions, rowsPerStep: Math.round(ROWS.average * rows), mostRows: Math.round(ROWS.most * rows) }
}

/** Of a step's rows, those that meet the output head. */
function selectedShare({ unit, keep }: SteppedArm): number {
  return unit === 'token' ? keep : 1
}

function rowsOf(chosen: readonly ChosenWindow[]): WeightedRows[] {
  return chosen.map(({ window, weights }) => ({ rows: window.rows, ...(weights && { weights }) }))
}
