/**
 * A model of the Llama family that decodes many sequences in one running batch, and scores every position it is asked
 * about inside the engine.
 *
 *     const decoder = await CausalLmDecoder.load(config, weights)
 *     const sequence = decoder.open()
 *     const { topIds } = await sequence.step(prompt)                        // p after the prompt
 *     const verdict = await sequence.step([next, ...proposed], { rows: 'all' }) // p after each of them
 *     sequence.rollback(sequence.length - rejected)
 *     sequence.close()
 *
 * The steps that wait when a run begins go through the engine together, whatever their lengths; long prompts go chunk by
 * chunk, in turn with the others (batch-planner.ts). A run blocks the event loop, some milliseconds to some tens; between
 * runs other work gets its turn.
 */
import type { CausalLmConfig, WeightFormat, WeightSource } from '@plateau/causal-lm'
import { PlateauError } from '@plateau/contracts'
import { DecodeLoop, type RunReport } from './decode-loop.js'
import { buildStep, planDecoder, type BuiltStep } from './compiled-decoder.js'
import { loadDecoderSession, openBuiltStep, type DecoderCache, type DecoderSession } from './decoder-session.js'
import { DecoderSequence, type Sequence } from './decoder-sequence.js'
import { float32 } from './host-tensor.js'
import { contextThatFits, KvMemory, type KvMemoryUse } from './kv-memory.js'

export interface DecoderOptions {
  /** For error messages. */
  readonly name?: string
  /**
   * Default 1. Reading the weights limits a small model, so a second thread brings little (13.9 M parameters: a quarter)
   * and costs far more than that as soon as something else wants its core. Give large models on idle cores more, or let
   * it be 'measured' at start: see measureThreads.
   */
  readonly threads?: number | 'measured'
  /** How many of the largest logits a row returns; at most the vocabulary. */
  readonly topK?: number
  /** Sequences open at once. */
  readonly maxSequences?: number
  /** Longest sequence in tokens; at most the model's own limit, which is the default, and what `cacheBytes` can hold. */
  readonly maxContext?: number
  /** Tokens of prompts that are computed at once when nobody decodes. */
  readonly chunkTokens?: number
  /** The same while others decode: their tokens wait that long. */
  readonly sharedChunkTokens?: number
  /**
   * Memory for keys and values of sequences and kept prefixes, never exceeded; default 1 GiB. When it is short, the
   * sequences opened last wait, or are computed again later.
   */
  readonly cacheBytes?: number
  /** Most of `cacheBytes` that beginnings of prompts may take, kept for prompts that begin alike. Default a quarter. */
  readonly prefixBytes?: number
  /** Default "f32". */
  readonly weightFormat?: WeightFormat
  /** Where built models are kept. */
  readonly modelCache?: DecoderCache | undefined
  /** Told after every run of the engine. */
  readonly onRun?: (report: RunReport) => void
}

export class CausalLmDecoder {
  readonly config: CausalLmConfig
  readonly maxContext: number
  readonly maxSequences: number
  readonly topK: number
  readonly #name: string
  readonly #loaded: DecoderSession
  readonly #memory: KvMemory
  readonly #loop: DecodeLoop
  readonly #open = new Set<Sequence>()
  #reusedTokens = 0

  static async load(
    config: CausalLmConfig,
    weights: WeightSource,
    options: DecoderOptions = {},
  ): Promise<CausalLmDecoder> {
    const limits = checkedLimits(config, options)
    const loaded = await loadDecoderSession(config, weights, { ...limits, cache: options.modelCache })
    return new CausalLmDecoder(config, limits, loaded)
  }

  /**
   * What takes most of the time of a load, and needs no engine: another thread can do it, and `fromStep` takes it up with
   * the same options. Such a decoder has no `fullLogits`.
   */
  static async buildStep(config: CausalLmConfig, weights: WeightSource, options: DecoderOptions): Promise<BuiltStep> {
    const limits = checkedLimits(config, options)
    return buildStep(planDecoder(config, limits.weightFormat, limits), weights)
  }

  static async fromStep(
    config: CausalLmConfig,
    step: BuiltStep,
    options: DecoderOptions & { readonly threads: number },
  ): Promise<CausalLmDecoder> {
    const limits = checkedLimits(config, options)
    return new CausalLmDecoder(config, limits, await openBuiltStep(step, { ...limits, threads: options.threads }))
  }

  private constructor(config: CausalLmConfig, limits: Limits, loaded: DecoderSession) {
    this.config = config
    this.maxContext = limits.maxContext
    this.maxSequences = limits.maxSequences
    this.topK = limits.topK
    this.#name = limits.name
    this.#loaded = loaded
    this.#memory = new KvMemory(config, { budgetBytes: limits.cacheBytes, prefixBytes: limits.prefixBytes })
    this.#loop = new DecodeLoop({
      config,
      session: loaded.session,
      memory: this.#memory,
      chunkTokens: limits.chunkTokens,
      sharedChunkTokens: limits.sharedChunkTokens,
      onRun: limits.onRun,
      onReuse: (tokens) => (this.#reusedTokens += tokens),
    })
  }

  /** How many sequences are open. */
  get openSequences(): number {
    return this.#open.size
  }

  /** What one step reads of the weights, bytes. */
  get weightBytes(): number {
    return this.#loaded.weightBytes
  }

  /** Threads that one run may use. */
  get threads(): number {
    return this.#loaded.threads
  }

  /** Where the weights lie. */
  get weightMemory(): DecoderSession['memory'] {
    return this.#loaded.memory
  }

  /** Whether the model was found built. */
  get fromCache(): boolean {
    return this.#loaded.fromCache
  }

  get memory(): KvMemoryUse {
    return this.#memory.use
  }

  /** Prompt tokens so far whose keys and values were found instead of computed. */
  get reusedTokens(): number {
    return this.#reusedTokens
  }

  /**
   * Texts of one `scope` copy beginnings from each other, of different ones never. Throws SEQUENCES_EXHAUSTED (worth trying
   * again) when maxSequences are open.
   */
  open(scope = ''): Sequence {
    if (this.#open.size >= this.maxSequences) {
      throw new PlateauError(
        'SEQUENCES_EXHAUSTED',
        `The model "${this.#name}" already decodes ${this.maxSequences} sequences; close one or wait.`,
        { facts: { model: this.#name, maxSequences: this.maxSequences }, retryable: true },
      )
    }
    const sequence: Sequence = new DecoderSequence({
      name: this.#name,
      scope,
      vocabSize: this.config.vocabSize,
      hiddenSize: this.config.hiddenSize,
      maxContext: this.maxContext,
      loop: this.#loop,
      memory: this.#memory,
      onClose: () => this.#open.delete(sequence),
    })
    this.#open.add(sequence)
    return sequence
  }

  /** Logits [rows, vocabSize] of hidden states [rows, hiddenSize]: only for draws that fall beyond the top-k. */
  async fullLogits(hidden: Float32Array): Promise<Float32Array> {
    const { hiddenSize } = this.config
    const head = await this.#loaded.head()
    const { logits } = await head.run({ hidden: float32(hidden, [hidden.length / hiddenSize, hiddenSize]) })
    return logits!.data as Float32Array
  }

  /** Waits for the run in progress, then frees the native memory. */
  release(): Promise<void> {
    return this.#loaded.release()
  }
}

interface Limits extends Required<Omit<DecoderOptions, 'modelCache'>> {}

function checkedLimits(config: CausalLmConfig, options: DecoderOptions): Limits {
  const cacheBytes = options.cacheBytes ?? 2 ** 30
  const limits: Limits = {
    name: options.name ?? 'target',
    threads: options.threads ?? 1,
    topK: Math.min(options.topK ?? 64, config.vocabSize),
    maxSequences: options.maxSequences ?? 8,
    maxContext: options.maxContext ?? config.maxPositions,
    chunkTokens: options.chunkTokens ?? 128,
    sharedChunkTokens: options.sharedChunkTokens ?? 32,
    cacheBytes,
    prefixBytes: options.prefixBytes ?? Math.floor(cacheBytes / 4),
    weightFormat: options.weightFormat ?? 'f32',
    onRun: options.onRun ?? (() => {}),
  }
  for (const key of ['topK', 'maxSequences', 'maxContext', 'chunkTokens', 'sharedChunkTokens', 'cacheBytes'] as const) {
    if (!Number.isInteger(limits[key]) || limits[key] < 1) {
      throw new RangeError(`${key} must be a whole number above 0, not ${limits[key]}`)
    }
  }
  if (limits.maxContext > config.maxPositions) {
    throw new RangeError(`maxContext ${limits.maxContext} is beyond the model's own ${config.maxPositions} positions`)
  }
  return { ...limits, maxContext: contextThatFits(config, cacheBytes, limits.maxContext, limits.name) }
}
