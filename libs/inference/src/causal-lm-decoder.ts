/**
 * A Llama-family model that decodes several sequences, each with its own cache, and scores every position it is asked
 * about inside the engine.
 *
 *     const decoder = await CausalLmDecoder.load(config, parameters)
 *     const sequence = decoder.open()
 *     const { topIds } = await sequence.step(prompt)                        // p after the prompt
 *     const verdict = await sequence.step([next, ...proposed], { rows: 'all' }) // p after each of them
 *     sequence.rollback(sequence.length - rejected)
 *     sequence.close()
 *
 * Steps of all sequences go through the engine one at a time, first come, first served, and a long prompt gives way
 * after each chunk, so that responses interleave. A step blocks the event loop while the engine runs, a few
 * milliseconds; between steps other work gets its turn.
 */
import {
  decoderGraph,
  decoderInputs,
  decoderOutputs,
  headGraph,
  headWeightName,
  type CausalLmConfig,
  type Parameters,
} from '@plateau/causal-lm'
import { PlateauError } from '@plateau/contracts'
import { float32, int64 } from './host-tensor.js'
import { attentionMask, KvCache } from './kv-cache.js'
import { loadSession, type InferenceSession } from './session.js'
import { candidateFeed, joinRows, rowsFrom, type StepRows } from './step-rows.js'

export interface DecoderOptions {
  /** For error messages. */
  readonly name?: string
  /**
   * Default 1. Reading the weights limits a small model, so a second thread brings little (13.9 M parameters: a quarter)
   * and costs far more than that as soon as something else wants its core. Give large models on idle cores more.
   */
  readonly threads?: number
  /** How many of the largest logits a row returns; at most the vocabulary. */
  readonly topK?: number
  /** Sequences open at once; each holds a cache of up to maxContext positions. */
  readonly maxSequences?: number
  /** Longest sequence in tokens; at most the model's own limit, which is the default. */
  readonly maxContext?: number
  /** Tokens of a long prompt that are computed at once. */
  readonly chunkTokens?: number
}

export interface StepOptions {
  /** Positions to score: the last new token (default), all new ones, or the last n of them. */
  readonly rows?: 'last' | 'all' | number
  /** Temperature of `scaledLogSumExp`, above 0: one for all rows or one per row. Default 1. */
  readonly temperature?: number | ArrayLike<number>
  /** For each scored row the ids whose logits are wanted, such as those a draft listed. */
  readonly candidates?: readonly ArrayLike<number>[]
}

export interface Sequence {
  /** Tokens in the cache: the next step continues after them. */
  readonly length: number
  /** Appends tokens, and scores p of what follows each of the chosen ones. Nothing is appended when it fails. */
  step(tokens: readonly number[], options?: StepOptions): Promise<StepRows>
  /** Forgets every token from this length on. Free. */
  rollback(length: number): void
  /** Gives the place to another sequence. Safe to call twice, and during a step. */
  close(): void
}

export class CausalLmDecoder {
  readonly config: CausalLmConfig
  readonly maxContext: number
  readonly maxSequences: number
  readonly topK: number
  readonly #name: string
  readonly #threads: number
  readonly #chunkTokens: number
  readonly #session: InferenceSession
  readonly #headParameters: Parameters
  #head: Promise<InferenceSession> | undefined
  readonly #open = new Set<Sequence>()

  static async load(
    config: CausalLmConfig,
    parameters: Parameters,
    options: DecoderOptions = {},
  ): Promise<CausalLmDecoder> {
    const limits = checkedLimits(config, options)
    const session = await loadSession(decoderGraph(config, parameters, limits), limits)
    return new CausalLmDecoder(config, parameters, limits, session)
  }

  private constructor(config: CausalLmConfig, parameters: Parameters, limits: Limits, session: InferenceSession) {
    this.config = config
    this.maxContext = limits.maxContext
    this.maxSequences = limits.maxSequences
    this.topK = limits.topK
    this.#name = limits.name
    this.#threads = limits.threads
    this.#chunkTokens = limits.chunkTokens
    this.#session = session
    const head = headWeightName(config)
    this.#headParameters = new Map([[head, parameters.get(head)!]])
  }

  /** How many sequences are open. */
  get openSequences(): number {
    return this.#open.size
  }

  /** Throws SEQUENCES_EXHAUSTED (worth trying again) when maxSequences are open. */
  open(): Sequence {
    if (this.#open.size >= this.maxSequences) {
      throw new PlateauError(
        'SEQUENCES_EXHAUSTED',
        `The model "${this.#name}" already decodes ${this.maxSequences} sequences; close one or wait.`,
        { facts: { model: this.#name, maxSequences: this.maxSequences }, retryable: true },
      )
    }
    const sequence: Sequence = new DecoderSequence({
      name: this.#name,
      config: this.config,
      maxContext: this.maxContext,
      chunkTokens: this.#chunkTokens,
      session: this.#session,
      onClose: () => this.#open.delete(sequence),
    })
    this.#open.add(sequence)
    return sequence
  }

  /** Logits [rows, vocabSize] of hidden states [rows, hiddenSize]: only for draws that fall beyond the top-k. */
  async fullLogits(hidden: Float32Array): Promise<Float32Array> {
    this.#head ??= loadSession(headGraph(this.config, this.#headParameters), {
      name: `${this.#name} head`,
      threads: this.#threads,
    })
    const { hiddenSize } = this.config
    const { logits } = await (
      await this.#head
    ).run({ hidden: float32(hidden, [hidden.length / hiddenSize, hiddenSize]) })
    return logits!.data as Float32Array
  }

  /** Waits for steps already asked for, then frees the native memory. */
  async release(): Promise<void> {
    await Promise.all([this.#session.release(), this.#head?.then((head) => head.release())])
  }
}

interface SequenceContext {
  readonly name: string
  readonly config: CausalLmConfig
  readonly maxContext: number
  readonly chunkTokens: number
  readonly session: InferenceSession
  readonly onClose: () => void
}

class DecoderSequence implements Sequence {
  readonly #context: SequenceContext
  readonly #cache: KvCache
  #length = 0
  #state: 'idle' | 'stepping' | 'closed' = 'idle'

  constructor(context: SequenceContext) {
    this.#context = context
    this.#cache = new KvCache(context.config)
  }

  get length(): number {
    return this.#length
  }

  async step(tokens: readonly number[], options: StepOptions = {}): Promise<StepRows> {
    this.#requireIdle('step')
    this.#checkTokens(tokens)
    const wanted = this.#wantedRows(tokens.length, options)
    const before = this.#length
    this.#state = 'stepping'
    try {
      const pieces: StepRows[] = []
      for (let start = 0; start < tokens.length; start += this.#context.chunkTokens) {
        // Closed while it waited: what is left of the step is not worth the engine's time.
        if (this.#is('closed')) throw this.#notIdle('step')
        pieces.push(
          await this.#chunk(tokens.slice(start, start + this.#context.chunkTokens), tokens.length - start, wanted),
        )
      }
      return joinRows(pieces)
    } catch (error) {
      this.#length = before
      throw error
    } finally {
      if (this.#is('stepping')) this.#state = 'idle'
    }
  }

  rollback(length: number): void {
    this.#requireIdle('rollback')
    if (!Number.isInteger(length) || length < 0 || length > this.#length) {
      throw new RangeError(`cannot roll back to length ${length}: the sequence has ${this.#length} tokens`)
    }
    this.#length = length
  }

  close(): void {
    if (this.#is('closed')) return
    this.#state = 'closed'
    this.#cache.free()
    this.#context.onClose()
  }

  /** `remaining` counts the step's tokens from this chunk's first to its last. */
  async #chunk(tokens: readonly number[], remaining: number, wanted: WantedRows): Promise<StepRows> {
    const { session } = this.#context
    const count = tokens.length
    // The chunk's positions that are among the last `wanted.count` of the step. The engine always gets a row.
    const firstWanted = Math.max(0, remaining - wanted.count)
    const rows = Math.max(0, count - firstWanted)
    const first = rows === 0 ? count - 1 : firstWanted
    const scored = Math.max(1, rows)
    const offset = wanted.count - remaining + first
    const candidates = wanted.candidates?.slice(offset, offset + rows)
    const { outputs, elapsedUs } = await session.timedRun(
      {
        ...this.#cache.feeds(),
        [decoderInputs.tokenIds]: int64(tokens, [1, count]),
        [decoderInputs.position]: int64([this.#length]),
        [decoderInputs.mask]: attentionMask(count, this.#length, this.#cache.rows),
        [decoderInputs.rows]: int64(Array.from({ length: scored }, (_, i) => first + i)),
        [decoderInputs.temperature]: float32(
          Float32Array.from({ length: scored }, (_, i) => wanted.temperature(offset + i)),
          [scored, 1],
        ),
        [decoderInputs.candidates]: candidateFeed(candidates ?? [], scored),
      },
      rows === 0 ? [decoderOutputs.newPast] : undefined,
    )
    this.#cache.write(outputs[decoderOutputs.newPast]!.data as Float32Array, count, this.#length)
    this.#length += count
    return rowsFrom(outputs, rows, candidates, elapsedUs)
  }

  #wantedRows(count: number, options: StepOptions): WantedRows {
    const { rows = 'last', temperature = 1, candidates } = options
    const wanted = rows === 'last' ? 1 : rows === 'all' ? count : rows
    if (!Number.isInteger(wanted) || wanted < 0 || wanted > count) {
      throw new RangeError(`cannot score ${wanted} rows of a step of ${count} tokens`)
    }
    if (candidates && candidates.length !== wanted) {
      throw new RangeError(`candidates are given for ${candidates.length} rows, but ${wanted} rows are scored`)
    }
    for (const ids of candidates ?? []) for (let i = 0; i < ids.length; i++) this.#checkId(ids[i]!, 'candidate')
    const temperatures = typeof temperature === 'number' ? undefined : temperature
    if (temperatures && temperatures.length !== wanted) {
      throw new RangeError(`${temperatures.length} temperatures are given, but ${wanted} rows are scored`)
    }
    for (const value of temperatures ? Array.from(temperatures) : [temperature as number]) {
      if (!(value > 0 && value < Infinity)) throw new RangeError(`a temperature must be above 0, not ${value}`)
    }
    const temperatureOf = (row: number) => (temperatures ? (temperatures[row] ?? 1) : (temperature as number))
    return { count: wanted, temperature: temperatureOf, candidates }
  }

  #checkTokens(tokens: readonly number[]): void {
    if (tokens.length === 0) throw new RangeError('a step needs at least one token')
    for (const id of tokens) this.#checkId(id, 'token')
    const { name, maxContext } = this.#context
    if (this.#length + tokens.length > maxContext) {
      throw new PlateauError(
        'CONTEXT_OVERFLOW',
        `${tokens.length} more tokens after ${this.#length} do not fit the ${maxContext} that "${name}" can hold.`,
        { facts: { model: name, length: this.#length, tokens: tokens.length, maxContext } },
      )
    }
  }

  #checkId(id: number, kind: 'token' | 'candidate'): void {
    const { name, config } = this.#context
    if (Number.isInteger(id) && id >= 0 && id < config.vocabSize) return
    throw new PlateauError(
      'TOKEN_OUT_OF_RANGE',
      `The ${kind} id ${id} is not in the vocabulary of "${name}", which has ${config.vocabSize} ids.`,
      { facts: { model: name, id, vocabSize: config.vocabSize } },
    )
  }

  #requireIdle(action: string): void {
    if (!this.#is('idle')) throw this.#notIdle(action)
  }

  #notIdle(action: string): PlateauError {
    const { name } = this.#context
    const [code, why] = this.#is('closed')
      ? ['SEQUENCE_CLOSED', 'it is closed']
      : ['SEQUENCE_BUSY', 'its previous step has not finished']
    return new PlateauError(code, `A sequence of "${name}" cannot ${action}: ${why}.`, { facts: { model: name } })
  }

  /** The state can change while a step waits: ask anew each time. */
  #is(state: 'idle' | 'stepping' | 'closed'): boolean {
    return this.#state === state
  }
}

interface WantedRows {
  /** The last `count` tokens of the step are scored. */
  readonly count: number
  readonly temperature: (row: number) => number
  readonly candidates: readonly ArrayLike<number>[] | undefined
}

type Limits = Required<DecoderOptions>

function checkedLimits(config: CausalLmConfig, options: DecoderOptions): Limits {
  const limits: Limits = {
    name: options.name ?? 'target',
    threads: options.threads ?? 1,
    topK: Math.min(options.topK ?? 64, config.vocabSize),
    maxSequences: options.maxSequences ?? 8,
    maxContext: options.maxContext ?? config.maxPositions,
    chunkTokens: options.chunkTokens ?? 128,
  }
  for (const key of ['topK', 'maxSequences', 'maxContext', 'chunkTokens'] as const) {
    if (!Number.isInteger(limits[key]) || limits[key] < 1) {
      throw new RangeError(`${key} must be a whole number above 0, not ${limits[key]}`)
    }
  }
  if (limits.maxContext > config.maxPositions) {
    throw new RangeError(`maxContext ${limits.maxContext} is beyond the model's own ${config.maxPositions} positions`)
  }
  return limits
}
