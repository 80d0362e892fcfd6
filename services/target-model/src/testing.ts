/** A tiny target with random weights, written as a real model directory, and short ways to call it in tests. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { initialParameters, referenceForward, type CausalLmConfig, type Parameters } from '@plateau/causal-lm'
import { FloatFormat, packTopK, target, type TokenWindow } from '@plateau/contracts'
import { writeModelDirectory } from '@plateau/model-files'
import type { CallContext } from '@plateau/rpc'
import { seededRandom, type SparseDistribution } from '@plateau/speculation'
import { MetricRegistry } from '@plateau/telemetry'
import { declareTargetMetrics } from './metrics.js'
import { TargetCalls, type CallOptions } from './target-calls.js'
import { loadTarget, type Target, type TargetOptions } from './target.js'

export const tinyConfig: CausalLmConfig = {
  vocabSize: 24,
  hiddenSize: 16,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  headDim: 8,
  intermediateSize: 24,
  rmsNormEps: 1e-5,
  ropeTheta: 10_000,
  maxPositions: 96,
  tieEmbeddings: false,
  bosTokenId: 0,
  eosTokenIds: [23],
}

/** Large enough weights for p to be far from uniform and to depend on the whole context. */
export function tinyParameters(config = tinyConfig): Parameters {
  const parameters = initialParameters(config, seededRandom(4))
  for (const [name, { shape, data }] of parameters) {
    const scale = shape.length === 1 ? 1 : name === 'lm_head.weight' ? 25 : 15
    for (let i = 0; i < data.length; i++) data[i]! *= scale
  }
  return parameters
}

export const parameters = tinyParameters()

/** A letter for every id. */
const tokenizer = JSON.stringify({
  version: '1.0',
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
  model: {
    type: 'BPE',
    vocab: Object.fromEntries(
      Array.from({ length: tinyConfig.vocabSize }, (_, id) => [String.fromCharCode(97 + id), id]),
    ),
    merges: [],
  },
})

export async function writeTinyModel(config = tinyConfig): Promise<{ directory: string; remove: () => Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'target-model-'))
  await writeModelDirectory(directory, config, parameters, 'F32')
  await writeFile(join(directory, 'tokenizer.json'), tokenizer)
  return { directory, remove: () => rm(directory, { recursive: true }) }
}

export interface Loaded {
  readonly target: Target
  readonly calls: TargetCalls
  readonly metrics: ReturnType<typeof declareTargetMetrics>
  readonly windows: TokenWindow[]
  close(): Promise<void>
}

/** The calls on a tiny model whose top-k lists 5 of 24 tokens, with captured windows collected. */
export async function loadTiny(
  options: Partial<TargetOptions & CallOptions> & { readonly maxPositions?: number } = {},
): Promise<Loaded> {
  const { maxPositions = tinyConfig.maxPositions } = options
  const { directory, remove } = await writeTinyModel({ ...tinyConfig, maxPositions })
  const loaded = await loadTarget(directory, {
    topK: 5,
    maxSequences: 3,
    maxProposal: 6,
    threads: 1,
    weights: 'f32',
    cacheBytes: 2 ** 24,
    modelCache: join(directory, 'built'),
    ...options,
  })
  const metrics = declareTargetMetrics(new MetricRegistry())
  const windows: TokenWindow[] = []
  const calls = new TargetCalls(
    loaded,
    { maxWaiting: 2, idleMs: 5000, windowPositions: 128, prefixSharing: 'tenant', ...options },
    { metrics, clock: () => 1_700_000_000_000, freshSeed: () => 77, capture: (window) => windows.push(window) },
  )
  const close = async (): Promise<void> => {
    await loaded.decoder.release()
    await remove()
  }
  return { target: loaded, calls, metrics, windows, close }
}

export const sampled = (sampling: Partial<target.SamplingParams> = {}): target.SamplingParams =>
  target.SamplingParams.fromPartial({ temperature: 1, seed: 1, maxTokens: 12, ignoreEos: true, ...sampling })

export const greedy = (sampling: Partial<target.SamplingParams> = {}) => sampled({ temperature: 0, ...sampling })

export const consent = (sampleId: string): target.Capture => ({
  consent: true,
  sampleId,
  tenant: 'acme',
  domain: 'base',
})

export function context(signal: AbortSignal = new AbortController().signal): CallContext {
  return { signal, traceparent: undefined, metadata: () => undefined, certificate: () => undefined }
}

/** All tokens of a plain response, and how it ended. */
export async function generate(
  calls: TargetCalls,
  promptTokenIds: number[],
  sampling: target.SamplingParams,
  capture?: target.Capture,
) {
  const tokens: number[] = []
  let finish = target.FinishReason.FINISH_REASON_UNSPECIFIED
  for await (const message of calls.generate({ promptTokenIds, sampling, capture }, context())) {
    tokens.push(message.tokenId)
    finish = message.finishReason
  }
  return { tokens, finish }
}

export interface Draft {
  /** What to propose after these tokens (prompt and response so far). */
  propose(tokens: readonly number[]): {
    tokens: number[]
    q?: SparseDistribution[]
    rawQ?: SparseDistribution[]
    shadowQ?: SparseDistribution[]
  }
}

/** One response by rounds of speculation, with everything that the server said. */
export async function speculate(
  calls: TargetCalls,
  promptTokenIds: number[],
  sampling: target.SamplingParams,
  draft: Draft,
  options: { capture?: target.Capture; promptFeatures?: number } = {},
) {
  const verdicts: target.SpeculateVerdict[] = []
  const tokens: number[] = []
  const said = Promise.withResolvers<void>()
  let next = said
  async function* requests(): AsyncGenerator<target.SpeculateRequest> {
    const { capture, promptFeatures = 0 } = options
    const open = { promptTokenIds, sampling, capture, promptFeatures, draftVersion: '7' }
    yield { message: { $case: 'open', value: open } }
    for (;;) {
      await next.promise
      next = Promise.withResolvers()
      yield { message: { $case: 'proposal', value: proposals.at(-1)!.message } }
    }
  }
  const proposals: { message: target.SpeculateProposal; tokens: number[] }[] = []
  for await (const { verdict } of calls.speculate(requests(), context())) {
    verdicts.push(verdict!)
    const proposed = proposals.at(-1)?.tokens ?? []
    tokens.push(...proposed.slice(0, verdict!.accepted))
    if (verdict!.nextTokenId !== undefined) tokens.push(verdict!.nextTokenId)
    const { tokens: tokenIds, q = [], rawQ = [], shadowQ = [] } = draft.propose([...promptTokenIds, ...tokens])
    proposals.push({
      tokens: tokenIds,
      message: { tokenIds, q: pack(q), rawQ: pack(rawQ), plainRounds: 0, shadowQ: pack(shadowQ) },
    })
    next.resolve()
  }
  return { tokens, verdicts, proposals: proposals.map(({ tokens: proposed }) => proposed) }
}

/** Rows of unequal length, filled up with zeros. */
export function pack(rows: readonly SparseDistribution[]) {
  if (rows.length === 0) return undefined
  const k = Math.max(...rows.map(({ ids }) => ids.length))
  const fill = (values: ArrayLike<number>) => Array.from({ length: k }, (_, i) => values[i] ?? 0)
  return packTopK(
    rows.flatMap(({ ids }) => fill(ids)),
    rows.flatMap(({ probs }) => fill(probs)),
    k,
    FloatFormat.FLOAT_FORMAT_FP32,
  )
}

/** Logits after `tokens`, in double precision, by the plain reference implementation. Remembered by context. */
const known = new Map<string, Float64Array>()
export function referenceLogits(tokens: readonly number[]): Float64Array {
  const key = tokens.join()
  const logits = known.get(key) ?? referenceForward(tinyConfig, parameters, tokens).logits.at(-1)!
  known.set(key, logits)
  return logits
}
