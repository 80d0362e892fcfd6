/** What a weight format costs and brings on a real model: bytes, loading, time of a step, distance from f32. */
import type { WeightFormat } from '@plateau/causal-lm'
import { CausalLmDecoder, measureBandwidth, timesOfReading, type RunReport } from '@plateau/inference'
import { openModel } from '@plateau/model-files'
import { parseArgs } from 'node:util'
import { progress, wholeNumber } from './bench-error.js'
import { cacheFolder } from './cache-folder.js'
import { openRealModel, promptTokens, type RealModel } from './real-model.js'

export const formatsHelp = `npm run bench -- formats --target smollm2 [options]

Every weight format of a real model: what a step reads, how long a step of one token takes (the fastest, formats in turn),
how far its distributions are from those of f32 (mean KL in nats, share of positions with the same most probable token),
and how long loading took.

  --target NAME     a model that was fetched: plateau model fetch smollm2
  --model PATH      or a GGUF file or a Hugging Face directory
  --positions N     to compare (default 512)
  --steps N         timed steps of each (default 60)
  --threads N       (default 1)
  --help            this text
`

const formats = ['f32', 'int8', 'int4'] as const

interface Loaded {
  readonly format: WeightFormat
  readonly decoder: CausalLmDecoder
  readonly loadMs: number
  /** Of the runs since they were last taken out. */
  readonly runs: RunReport[]
}

export async function benchFormats(args: readonly string[]): Promise<object> {
  const options = parseOptions(args)
  const model = await openRealModel(options)
  const bytesPerSecond = await measureBandwidth()
  const loaded: Loaded[] = []
  try {
    for (const format of formats) {
      progress(`loading ${format}`)
      loaded.push(...(await tryLoad(model, format, options.threads)))
    }
    const distances = await distancesFromF32(loaded, promptTokens(model, 64, 300), options.positions)
    const stepUs = await fastestSteps(loaded, promptTokens(model, 1, 300)[0]!, options.steps)
    const rows = loaded.map(({ format, decoder, loadMs }, i) => ({
      format,
      weightBytes: decoder.weightBytes,
      loadMs: Math.round(loadMs),
      fromCache: decoder.fromCache,
      stepMs: stepUs[i]! / 1000,
      overBandwidth: timesOfReading(stepUs[i]!, decoder.weightBytes, bytesPerSecond),
      ...distances[i]!,
    }))
    console.log(`${options.threads} threads, memory read at ${(bytesPerSecond / 1e9).toFixed(1)} GB/s`)
    console.table(rows)
    return { formats: Object.fromEntries(rows.map((row) => [row.format, row])), bytesPerSecond }
  } finally {
    for (const { decoder } of loaded) await decoder.release()
  }
}

/** Nothing where the model has no weights of this format. */
async function tryLoad(
  { path, description }: RealModel,
  weightFormat: WeightFormat,
  threads: number,
): Promise<Loaded[]> {
  const model = await openModel(path)
  const runs: RunReport[] = []
  const start = performance.now()
  try {
    const decoder = await CausalLmDecoder.load(description.config, model.weights, {
      name: description.modelId,
      threads,
      weightFormat,
      maxContext: 512,
      prefixBytes: 1,
      modelCache: { directory: cacheFolder('built'), fingerprint: description.fingerprint },
      onRun: (report) => runs.push(report),
    })
    return [{ format: weightFormat, decoder, loadMs: performance.now() - start, runs }]
  } catch (error) {
    if ((error as { code?: string }).code === 'WEIGHTS_NOT_4_BIT') return []
    throw error
  } finally {
    await model.close()
  }
}

async function distancesFromF32(loaded: readonly Loaded[], prompts: readonly (readonly number[])[], positions: number) {
  const sums = loaded.map(() => ({ kl: 0, sameTop: 0 }))
  let compared = 0
  for (const prompt of prompts) {
    if (compared >= positions) break
    progress(`comparing: ${compared} of ${positions} positions`)
    const tokens = prompt.slice(0, positions - compared)
    const [exact, ...others] = await Promise.all(loaded.map(({ decoder }) => logitsOf(decoder, tokens)))
    for (let position = 0; position < tokens.length; position++) {
      const p = exact!.row(position)
      for (const [i, logits] of [exact!, ...others].entries()) {
        const q = logits.row(position)
        sums[i]!.kl += divergence(p, q)
        sums[i]!.sameTop += Number(argmax(p) === argmax(q))
      }
    }
    compared += tokens.length
  }
  return sums.map(({ kl, sameTop }) => ({ meanKl: kl / compared, sameTop: sameTop / compared, positions: compared }))
}

async function logitsOf(decoder: CausalLmDecoder, tokens: readonly number[]) {
  const sequence = decoder.open()
  try {
    const { features } = await sequence.step(tokens, { rows: 0, features: tokens.length })
    const logits = await decoder.fullLogits(features)
    const width = decoder.config.vocabSize
    return { row: (position: number) => logits.subarray(position * width, (position + 1) * width) }
  } finally {
    sequence.close()
  }
}

/** KL(softmax p || softmax q), nats. */
function divergence(p: Float32Array, q: Float32Array): number {
  const [lseP, lseQ] = [logSumExp(p), logSumExp(q)]
  let sum = 0
  for (let i = 0; i < p.length; i++) {
    const logP = p[i]! - lseP
    sum += Math.exp(logP) * (logP - q[i]! + lseQ)
  }
  return sum
}

function logSumExp(z: Float32Array): number {
  const largest = z[argmax(z)]!
  let sum = 0
  for (let i = 0; i < z.length; i++) sum += Math.exp(z[i]! - largest)
  return largest + Math.log(sum)
}

function argmax(z: Float32Array): number {
  let best = 0
  for (let i = 1; i < z.length; i++) if (z[i]! > z[best]!) best = i
  return best
}

/** Microseconds inside the engine, of one token after a prompt. */
async function fastestSteps(loaded: readonly Loaded[], prompt: readonly number[], steps: number): Promise<number[]> {
  const sequences = loaded.map(({ decoder }) => decoder.open())
  try {
    for (const sequence of sequences) await sequence.step(prompt)
    for (const { runs } of loaded) runs.length = 0
    for (let step = 0; step < steps; step++) {
      for (const sequence of sequences) {
        await sequence.step([prompt[step % prompt.length]!])
        sequence.rollback(prompt.length)
      }
    }
    return loaded.map(({ runs }) => Math.min(...runs.map((run) => run.engineUs)))
  } finally {
    for (const sequence of sequences) sequence.close()
  }
}

function parseOptions(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      target: { type: 'string' },
      model: { type: 'string' },
      positions: { type: 'string', default: '512' },
      steps: { type: 'string', default: '60' },
      threads: { type: 'string', default: '1' },
    },
  })
  return {
    target: values.target,
    model: values.model,
    positions: wholeNumber('positions', values.positions),
    steps: wholeNumber('steps', values.steps),
    threads: wholeNumber('threads', values.threads),
  }
}
