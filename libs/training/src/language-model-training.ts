/**
 * Training a causal language model. The arithmetic runs in a compute engine that the caller passes in; parameters live
 * in the optimiser's memory, and the engine reads them there in place.
 */
import { gradientPrefix, parameterShapes, type CausalLmConfig } from '@plateau/causal-lm'
import type { AdamW } from './adamw.js'
import type { LanguageModelBatch } from './language-model-batch.js'

/** A loaded graph, for example an InferenceSession of @plateau/inference. */
export interface ComputeEngine {
  run(feeds: Readonly<Record<string, EngineTensor>>): Promise<Readonly<Record<string, { readonly data: unknown }>>>
}

/** What a step wants of an engine. */
export interface TrainingEngine extends ComputeEngine {
  /** Where an engine can write outputs into given tensors. Returns all outputs, from wherever they lie. */
  runInto?(
    feeds: Readonly<Record<string, EngineTensor>>,
    into: Readonly<Record<string, EngineTensor>>,
  ): Promise<Readonly<Record<string, { readonly data: unknown }>>>
}

export type EngineTensor =
  | { readonly type: 'float32'; readonly dims: readonly number[]; readonly data: Float32Array }
  | { readonly type: 'int64'; readonly dims: readonly number[]; readonly data: BigInt64Array }

export interface LanguageModelTraining {
  readonly config: CausalLmConfig
  /** Runs the graph of buildTrainGraph for this configuration and the batches' shape. */
  readonly engine: TrainingEngine
  readonly optimizer: AdamW
  readonly nextBatch: () => LanguageModelBatch
  /** Of this step, counted from 0; undefined ends the training. */
  readonly learningRate: (step: number) => number | undefined
  readonly onStep: (report: StepReport) => void | Promise<void>
}

export interface StepReport {
  /** From 0. */
  readonly step: number
  /** In nats per token, before the step. */
  readonly loss: number
  readonly learningRate: number
  /** Before clipping. */
  readonly gradientNorm: number
  /** false: loss or gradient was not finite, and the parameters stayed as they were. */
  readonly applied: boolean
  /** Steps not applied so far. */
  readonly skipped: number
}

export async function trainLanguageModel(training: LanguageModelTraining): Promise<void> {
  const { config, engine, optimizer, nextBatch, onStep } = training
  const parameters = parameterTensors(config, optimizer.state.parameters)
  const places = gradientTensors(parameterShapes(config), optimizer.gradients)
  let skipped = 0
  for (let step = 0; ; step++) {
    const learningRate = training.learningRate(step)
    if (learningRate === undefined) return

    const outputs = await runStep(engine, { ...parameters, ...batchTensors(nextBatch()) }, places)
    const loss = lossOf(outputs)
    const gradients = gradientsOf(outputs)

    const { gradientNorm, applied } = Number.isFinite(loss)
      ? optimizer.step(gradients, learningRate)
      : { gradientNorm: Number.NaN, applied: false }
    if (!applied) skipped++
    await onStep({ step, loss, learningRate, gradientNorm, applied, skipped })
  }
}

/** Mean loss over batches, with an engine built with or without gradients. */
export async function evaluateLanguageModel(
  config: CausalLmConfig,
  engine: ComputeEngine,
  parameters: ReadonlyMap<string, Float32Array>,
  batches: readonly LanguageModelBatch[],
): Promise<number> {
  const tensors = parameterTensors(config, parameters)
  let sum = 0
  for (const batch of batches) sum += lossOf(await engine.run({ ...tensors, ...batchTensors(batch) }))
  return sum / batches.length
}

/** Parameters as an engine reads them, by name: views, not copies. */
export function parameterTensors(
  config: CausalLmConfig,
  parameters: ReadonlyMap<string, Float32Array>,
): Record<string, EngineTensor> {
  const tensors: Record<string, EngineTensor> = {}
  for (const [name, dims] of parameterShapes(config)) {
    const data = parameters.get(name)
    if (data === undefined) throw new RangeError(`the model's parameter ${name} is missing`)
    tensors[name] = { type: 'float32', dims, data }
  }
  return tensors
}

/** A batch as the inputs of buildTrainGraph's graph. */
export function batchTensors(batch: LanguageModelBatch): Record<string, EngineTensor> {
  const rows = batch.sequences * batch.positions
  const listed = [rows, batch.targetsPerRow]
  return {
    input_ids: { type: 'int64', dims: [rows], data: batch.inputIds },
    target_ids: { type: 'int64', dims: listed, data: batch.targetIds },
    target_probs: { type: 'float32', dims: listed, data: batch.targetProbs },
    row_weights: { type: 'float32', dims: [rows], data: batch.rowWeights },
  }
}

export function lossOf(outputs: Readonly<Record<string, { readonly data: unknown }>>): number {
  return floats(outputs['loss']?.data, 'loss')[0] ?? Number.NaN
}

/** The outputs of a training graph that hold gradients, as tensors over the optimiser's own memory. */
export function gradientTensors(
  shapes: ReadonlyMap<string, readonly number[]>,
  gradients: ReadonlyMap<string, Float32Array>,
): Record<string, EngineTensor> {
  const tensor = (name: string, data: Float32Array) =>
    [`${gradientPrefix}${name}`, { type: 'float32', dims: shapes.get(name)!, data }] as const
  return Object.fromEntries([...gradients].map(([name, data]) => tensor(name, data)))
}

/** One run of a training graph, its gradients written to `places` where the engine can. */
export function runStep(
  engine: TrainingEngine,
  feeds: Readonly<Record<string, EngineTensor>>,
  places: Readonly<Record<string, EngineTensor>>,
): ReturnType<ComputeEngine['run']> {
  return engine.runInto === undefined ? engine.run(feeds) : engine.runInto(feeds, places)
}

/** By the parameter's name. */
export function gradientsOf(outputs: Readonly<Record<string, { readonly data: unknown }>>): Map<string, Float32Array> {
  const gradients = new Map<string, Float32Array>()
  for (const [name, { data }] of Object.entries(outputs)) {
    if (name.startsWith(gradientPrefix)) gradients.set(name.slice(gradientPrefix.length), floats(data, name))
  }
  return gradients
}

function floats(data: unknown, name: string): Float32Array {
  if (data instanceof Float32Array) return data
  throw new TypeError(`the engine's output ${name} is not an array of 32-bit floats`)
}
