import { featureHeadInputs, withParameters, type FeatureHead } from '@plateau/causal-lm'
import { RidgeAccumulator, RidgeSolver, type DraftTarget } from '@plateau/inference'
import { doubleTensor, readTensors, toDoubles, writeTensors } from '@plateau/model-files'
import { decodeSums, emptySums, encodeSums, featureHeadRidge, transposed, type RidgeSums } from '@plateau/training'
import { existsSync } from 'node:fs'
import type { Progress } from './progress.js'
import type { TrainingData } from './training-data.js'

export interface ClosedFormOptions {
  readonly lambda: number
  readonly threads: number
  /** Where the sums are saved. They belong to the store's windows and the head's random features. */
  readonly sumsFile: string
}

const POSITIONS_PER_SAVE = 32_768

/**
 * `base` with the projection that solves the ridge regression over all training windows (see RidgeSums). After a kill it
 * goes on from the sums that were saved last. `positions`: how many there are to come, for the progress.
 */
export async function solveClosedForm(
  base: FeatureHead,
  target: DraftTarget,
  data: TrainingData,
  options: ClosedFormOptions & { readonly positions: number },
  progress: Progress,
): Promise<FeatureHead> {
  const sums = await accumulateSums(base, target, data, options, progress)
  progress.say(`solving for ${sums.inputs} inputs`)
  const solver = await RidgeSolver.create({ threads: options.threads })
  try {
    const w = await solver.solve(sums, featureHeadRidge(base.config, options.lambda))
    return withParameters(base, { 'fc.weight': transposed(w, sums.inputs, sums.outputs, new Float32Array(w.length)) })
  } finally {
    await solver.release()
  }
}

/** The sums over all training windows, of the head's features as they are. */
export async function accumulateSums(
  base: FeatureHead,
  target: DraftTarget,
  data: TrainingData,
  { threads, sumsFile, positions }: ClosedFormOptions & { readonly positions: number },
  progress: Progress,
): Promise<RidgeSums> {
  const inputs = featureHeadInputs(base.config)
  const saved = await readSaved(sumsFile, inputs)
  const sums = saved?.sums ?? emptySums(inputs, base.config.hiddenSize)
  let windows = saved?.windows ?? 0
  let done = saved?.positions ?? 0
  let savedAt = done
  const accumulator = await RidgeAccumulator.create(base, target, threads)
  const save = async (): Promise<void> => {
    await accumulator.flush(sums)
    const encoded = encodeSums(sums)
    const tensors = new Map([['sums', doubleTensor([encoded.length / 8], new Float64Array(encoded.buffer))]])
    await writeTensors(sumsFile, tensors, { windows: String(windows), positions: String(done) })
    savedAt = done
  }
  try {
    for await (const rows of data.training(windows)) {
      await accumulator.add(sums, rows)
      windows++
      done += rows.length
      progress.at('closed form', done, positions)
      if (done - savedAt >= POSITIONS_PER_SAVE) await save()
    }
    if (done > savedAt) await save()
    return sums
  } finally {
    await accumulator.release()
  }
}

async function readSaved(path: string, inputs: number) {
  if (!existsSync(path)) return undefined
  const { tensors, metadata } = await readTensors(path)
  const numbers = toDoubles(tensors.get('sums')!)
  const sums = decodeSums(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength))
  if (sums.inputs !== inputs) return undefined
  return { sums, windows: Number(metadata['windows']), positions: Number(metadata['positions']) }
}
