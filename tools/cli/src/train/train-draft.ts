import { mostFrequentTokens, type DraftLoss } from '@plateau/causal-lm'
import { PlateauError } from '@plateau/contracts'
import { coverage } from '@plateau/training'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DraftFile, DraftPlan } from './draft-plan.js'
import { runGradients } from './gradient-stage.js'
import { replayGreedy, type GreedyAcceptance } from './greedy-acceptance.js'
import { calibrated, figuresOf, meanAlpha, type Figures } from './judge.js'
import type { Progress } from './progress.js'
import { TrainingData } from './training-data.js'
import type { WindowStore } from './window-store.js'

export interface TrainDraftOptions {
  /** Where the draft goes; what belongs to the run only lies in `work` below it. */
  readonly out: string
  /** How many of the target's tokens the draft proposes; 0 = all. */
  readonly vocabulary: number
  readonly hiddenSize: number
  readonly targetVocabSize: number
  /** Positions that gradient steps go over; 0 = none. */
  readonly gradientPositions: number
  readonly learningRate: number
  readonly loss: DraftLoss
  readonly threads: number
  readonly seed: number
  readonly signal: AbortSignal
}

export interface TrainedDraft<Model> {
  readonly model: Model
  readonly companions: readonly DraftFile[]
  readonly stage: DraftPlan<Model>['startStage'] | 'gradients'
  readonly trainingPositions: number
  readonly vocabularyCoverage: number
  readonly figures: readonly Figures[]
  readonly greedy: readonly GreedyAcceptance[]
  readonly gamma: number
}

/** Tokens a round proposes in the replay of greedy answers. */
const GAMMA = 4

/**
 * Throws NO_TRAINING_WINDOWS when all windows are held out. Undefined: interrupted, and everything that was reached is kept for the next run.
 */
export async function trainDraft<Model>(
  plan: DraftPlan<Model>,
  store: WindowStore,
  options: TrainDraftOptions,
  progress: Progress,
): Promise<TrainedDraft<Model> | undefined> {
  const data = new TrainingData(store, plan.expected)
  const { counts, positions } = await data.tokenCounts()
  if (positions === 0) throw nothingToTrainOn(store)
  const isReduced = options.vocabulary > 0 && options.vocabulary < options.targetVocabSize
  const vocabulary = isReduced
    ? await keptVocabulary(join(options.out, WORK, 'vocabulary.json'), () =>
        mostFrequentTokens(counts, options.vocabulary),
      )
    : undefined
  const calibration = await data.heldOut('calibration')
  const evaluation = await data.heldOut('evaluation')

  const start = await calibrated(plan, await plan.start(data, vocabulary, progress), calibration)
  let best = { model: start, stage: plan.startStage as TrainedDraft<Model>['stage'] }
  progress.say(`before gradients: alpha ${shown(await meanAlpha(plan, start, evaluation))} held out`)
  if (options.gradientPositions > 0) {
    const { gradientPositions, out, ...gradients } = options
    const stateFile = join(out, WORK, 'gradients.safetensors')
    const stage = { ...gradients, positions: gradientPositions, stateFile }
    const trained = await runGradients(plan, start, data, stage, progress)
    if (trained === undefined) return undefined
    const model = await calibrated(plan, trained, calibration)
    const [after, before] = [await meanAlpha(plan, model, calibration), await meanAlpha(plan, start, calibration)]
    // Where nothing was kept apart to compare on, what was trained is taken.
    if (calibration.length === 0 || after > before) best = { model, stage: 'gradients' }
    else progress.say(`gradients did not help (${shown(after)} after ${shown(before)}): ${plan.startStage} it stays`)
  }
  const model = await asStored(plan, best.model)
  const loaded = await plan.load(model, options.threads)
  try {
    return {
      ...best,
      model,
      companions: await plan.companions(model, data, progress),
      trainingPositions: positions,
      vocabularyCoverage: vocabulary === undefined ? 1 : coverage(counts, vocabulary),
      figures: await figuresOf(plan, model, evaluation),
      greedy: await replayGreedy(loaded, evaluation, options.hiddenSize, GAMMA),
      gamma: GAMMA,
    }
  } finally {
    await loaded.release()
  }
}

/** Of a run that can be continued: windows, sums, optimiser state, the services' files. */
export const WORK = 'work'

/**
 * Chosen at the first run: rows of a draft and of its optimiser's state stand for these tokens, also when there are more
 * windows the next time.
 */
async function keptVocabulary(path: string, choose: () => Int32Array): Promise<Int32Array> {
  const saved = await readFile(path, 'utf8').catch(() => undefined)
  if (saved !== undefined) return Int32Array.from(JSON.parse(saved) as number[])
  const chosen = choose()
  await writeFile(`${path}.partial`, JSON.stringify([...chosen]))
  await rename(`${path}.partial`, path)
  return chosen
}

/** Judged as it will be read: stored numbers are shorter. */
async function asStored<Model>(plan: DraftPlan<Model>, model: Model): Promise<Model> {
  const files = new Map(plan.encode(model).map(({ path, bytes }) => [path, bytes]))
  return plan.decode(files, 'the trained draft')
}

/** Files appear whole, one by one; the card last, so a directory with a card is complete. */
export async function writeDraft(
  out: string,
  files: readonly { readonly path: string; readonly bytes: Uint8Array | string }[],
): Promise<void> {
  await mkdir(out, { recursive: true })
  for (const { path, bytes } of files) {
    const partial = join(out, `.${path}.partial`)
    await rm(partial, { force: true })
    await writeFile(partial, bytes)
    await rename(partial, join(out, path))
  }
}

function nothingToTrainOn({ totalPositions }: WindowStore): PlateauError {
  return new PlateauError(
    'NO_TRAINING_WINDOWS',
    `all ${totalPositions} positions are held out and none is left to train on: collect more with --positions`,
    { facts: { positions: totalPositions } },
  )
}

function shown(alpha: number): string {
  return alpha.toFixed(3)
}
