import { existsSync } from 'node:fs'
import type { DraftRows } from '@plateau/inference'
import { readTensors, writeTensors } from '@plateau/model-files'
import { seededRandom } from '@plateau/speculation'
import { cosineDecay, type Piece } from '@plateau/training'
import type { DraftPlan, GradientOptions, GradientRun } from './draft-plan.js'
import type { Progress } from './progress.js'
import type { TrainingData } from './training-data.js'

export interface GradientStageOptions extends Omit<GradientOptions, 'decay'> {
  /** How many positions the steps go over; those of the store as often as it takes. */
  readonly positions: number
  readonly seed: number
  /** Where the optimiser's state is saved. */
  readonly stateFile: string
  readonly signal: AbortSignal
}

const STEPS_PER_SAVE = 100
/** The running mean of the loss that progress shows. */
const MEMORY = 0.98
/** The learning rate ends at this share of its peak. */
const FLOOR = 0.05

/**
 * Gradient steps from `start` until so many positions have been gone over; the learning rate falls along half a cosine.
 * After a kill it goes on from the state that was saved last, with other windows next. Undefined when interrupted: all
 * that was reached is saved.
 */
export async function runGradients<Model>(
  plan: DraftPlan<Model>,
  start: Model,
  data: TrainingData,
  options: GradientStageOptions,
  progress: Progress,
): Promise<Model | undefined> {
  const saved = existsSync(options.stateFile) ? await readTensors(options.stateFile) : undefined
  let done = Number(saved?.metadata['positions'] ?? 0)
  const decay = (): number => cosineDecay(done / options.positions, FLOOR)
  const run = await plan.openGradients(start, { ...options, decay })
  const save = () => writeTensors(options.stateFile, run.state(), { positions: String(done) })
  try {
    if (saved !== undefined) run.load(saved.tensors)
    let loss: number | undefined
    const random = seededRandom(options.seed + run.steps)
    for await (const pieces of stepPieces(data.shuffled(random), run.shape)) {
      if (done >= options.positions) break
      const report = await run.step(pieces)
      done += report.positions
      loss = loss === undefined ? report.loss : MEMORY * loss + (1 - MEMORY) * report.loss
      progress.at('gradients', Math.min(done, options.positions), options.positions, `loss ${loss.toFixed(3)}`)
      if (run.steps % STEPS_PER_SAVE === 0) await save()
      if (options.signal.aborted) break
    }
    await save()
    return done >= options.positions ? run.model : undefined
  } finally {
    await run.release()
  }
}

/** As many pieces as a step takes, windows in the order in which they come. */
async function* stepPieces(
  windows: AsyncGenerator<DraftRows>,
  { sequences, positions }: GradientRun<unknown>['shape'],
): AsyncGenerator<Piece[]> {
  let waiting: Piece[] = []
  for await (const rows of windows) {
    for (let from = 0; from < rows.length; from += positions) {
      waiting.push({ rows, from, to: Math.min(rows.length, from + positions) })
      if (waiting.length < sequences) continue
      yield waiting
      waiting = []
    }
  }
}
