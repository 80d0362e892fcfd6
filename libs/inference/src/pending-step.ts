import { HiddenStates } from './hidden-states.js'
import type { KvPlace } from './kv-arena.js'
import { prefixBlockTokens, type PrefixBlock } from './prefix-store.js'
import { joinRows, type StepRows } from './step-rows.js'

export interface StepRequest {
  /** All tokens of the sequence, this step's included. Must not change before the step is done. */
  readonly tokens: readonly number[]
  /** The step's own: the last `newTokens` of them. */
  readonly newTokens: number
  /** The last so many are scored. */
  readonly rows: number
  /** The temperature of a scored row, above 0. */
  readonly temperature: (row: number) => number
  readonly candidates: readonly ArrayLike<number>[] | undefined
  /** The last so many give their hidden states. */
  readonly features: number
}

export interface StepContext {
  readonly hiddenSize: number
  /** Beginnings of prompts are kept for others. */
  readonly keepsPrompts: boolean
  readonly classOf: (place: KvPlace, rows: number) => number
}

/** Of how many tokens at a prompt's end: drafts ask for some hundred. */
const keptHiddenStates = 1024

/** What the next run computes of a step: tokens [from, to). */
export interface Chunk {
  readonly from: number
  readonly to: number
  /** Tokens from here on are scored, each with its temperature and candidates. */
  readonly firstRow: number
  readonly temperatures: readonly number[]
  readonly candidates: readonly (ArrayLike<number> | undefined)[]
  /** Tokens from here on give their hidden states. */
  readonly firstFeature: number
}

/**
 * A step on its way through one or more runs. It computes whatever its place does not hold yet: usually its own tokens;
 * fewer where the sequence's beginning is known already; all of the sequence where its place was taken from it.
 */
export class PendingStep {
  readonly request: StepRequest
  readonly place: KvPlace
  readonly done = Promise.withResolvers<StepRows>()
  /** Where the step is a prompt that others may begin with. */
  readonly #hidden: HiddenStates | undefined
  readonly #classOf: (place: KvPlace, rows: number) => number
  readonly #pieces: StepRows[] = []
  /** Up to here rows and features have been told; what is computed anew is not told again. */
  #told = 0
  over = false

  constructor(request: StepRequest, place: KvPlace, { hiddenSize, keepsPrompts, classOf }: StepContext) {
    this.request = request
    this.place = place
    this.#classOf = classOf
    const { tokens, newTokens, features } = request
    const begins = newTokens === tokens.length && newTokens >= prefixBlockTokens
    const keep = Math.max(features, keptHiddenStates)
    this.#hidden = keepsPrompts && begins ? new HiddenStates(tokens.length, keep, hiddenSize) : undefined
  }

  get total(): number {
    return this.request.tokens.length
  }

  get remaining(): number {
    return this.total - this.place.rows
  }

  get lengthClass(): number {
    return this.#classOf(this.place, this.total)
  }

  /** Whether its tokens are a prompt from its beginning. */
  get isPrompt(): boolean {
    return this.#hidden !== undefined
  }

  chunk(count: number): Chunk {
    const { rows, features, temperature, candidates } = this.request
    const from = this.place.rows
    const to = from + count
    const first = (wanted: number) => Math.min(to, Math.max(from, this.#told, this.total - wanted))
    const firstRow = first(rows)
    const scored = Array.from({ length: to - firstRow }, (_, i) => firstRow + i - (this.total - rows))
    return {
      from,
      to,
      firstRow,
      temperatures: scored.map(temperature),
      candidates: scored.map((row) => candidates?.[row]),
      firstFeature: this.#hidden ? Math.min(to, Math.max(from, this.#hidden.first)) : first(features),
    }
  }

  /** Whether block `index` of known tokens will do: what is to be told of its tokens must be known as well. */
  canReuse(block: PrefixBlock, index: number): boolean {
    const end = (index + 1) * prefixBlockTokens
    const { rows, features } = this.request
    const firstToTell = (wanted: number) => Math.max(this.#told, this.total - wanted)
    // The last token is computed in any case.
    if (end > Math.min(this.total - 1, firstToTell(rows))) return false
    return end <= firstToTell(features) || (this.isPrompt && block.features !== undefined)
  }

  /** The sequence's first tokens need not be computed: block by block their hidden states, where those are known. */
  reuse(features: readonly (Float32Array | undefined)[]): void {
    features.forEach((block, i) => block && this.#hidden?.set(i * prefixBlockTokens, block))
    this.#hidden?.forget((features.lastIndexOf(undefined) + 1) * prefixBlockTokens)
  }

  /** The answer to a chunk. */
  take(chunk: Chunk, piece: StepRows): void {
    this.#hidden?.set(chunk.firstFeature, piece.features)
    this.#pieces.push(this.#hidden ? { ...piece, features: noFloats } : piece)
    this.#told = Math.max(this.#told, chunk.to)
  }

  /** Hidden states of tokens [from, from + count), where they are known. */
  hiddenOf(from: number, count: number): Float32Array | undefined {
    return this.#hidden?.of(from, count)
  }

  finish(): void {
    const rows = joinRows(this.#pieces)
    const { features } = this.request
    this.over = true
    this.done.resolve(this.#hidden ? { ...rows, features: this.hiddenOf(this.total - features, features)! } : rows)
  }

  fail(error: unknown): void {
    this.over = true
    this.done.reject(error)
  }
}

const noFloats = new Float32Array(0)
