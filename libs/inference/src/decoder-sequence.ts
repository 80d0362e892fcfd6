import { PlateauError } from '@plateau/contracts'
import type { DecodeLoop } from './decode-loop.js'
import type { KvPlace } from './kv-arena.js'
import type { KvMemory } from './kv-memory.js'
import { PendingStep, type StepContext, type StepRequest } from './pending-step.js'
import type { StepRows } from './step-rows.js'

export interface StepOptions {
  /** Positions to score: the last new token (default), all new ones, or the last n of them. */
  readonly rows?: 'last' | 'all' | number
  /** The last n new tokens whose hidden states are wanted, scored or not. Much cheaper than scoring. Default 0. */
  readonly features?: number
  /** Temperature of `scaledLogSumExp`, above 0: one for all rows or one per row. Default 1, which costs nothing. */
  readonly temperature?: number | ArrayLike<number>
  /** For each scored row the ids whose logits are wanted, such as those a draft listed. */
  readonly candidates?: readonly ArrayLike<number>[]
}

export interface Sequence {
  /** Its tokens: the next step continues after them. */
  readonly length: number
  /** Appends tokens, and scores p of what follows each of the chosen ones. Nothing is appended when it fails. */
  step(tokens: readonly number[], options?: StepOptions): Promise<StepRows>
  /** Forgets every token from this length on. Free. */
  rollback(length: number): void
  /** Gives its memory to others at once. Safe to call twice, and during a step, which then fails with SEQUENCE_CLOSED. */
  close(): void
}

export interface SequenceContext {
  readonly name: string
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly maxContext: number
  readonly loop: DecodeLoop
  readonly memory: KvMemory
  readonly onClose: () => void
  /** See KvPlace. */
  readonly scope: string
}

/** idle ──step──▶ stepping ──▶ idle; from either ──close──▶ closed. */
export class DecoderSequence implements Sequence {
  readonly #context: SequenceContext
  readonly #place: KvPlace
  readonly #stepContext: StepContext
  readonly #tokens: number[] = []
  #step: PendingStep | undefined
  #closed = false

  constructor(context: SequenceContext) {
    this.#context = context
    const { memory, hiddenSize, scope } = context
    this.#place = memory.open(scope)
    const classOf = (place: KvPlace, rows: number) => memory.lengthClass(place, rows)
    this.#stepContext = { hiddenSize, classOf, keepsPrompts: memory.prefixes.maxBytes > 0 }
  }

  get length(): number {
    return this.#tokens.length - (this.#step?.request.newTokens ?? 0)
  }

  async step(tokens: readonly number[], options: StepOptions = {}): Promise<StepRows> {
    this.#requireIdle('step')
    this.#checkTokens(tokens)
    const { loop } = this.#context
    const request = this.#request(tokens, options)
    const before = this.#tokens.length
    for (const token of tokens) this.#tokens.push(token)
    this.#step = new PendingStep(request, this.#place, this.#stepContext)
    try {
      return await loop.submit(this.#step)
    } catch (error) {
      this.#forget(before)
      throw error
    } finally {
      this.#step = undefined
    }
  }

  rollback(length: number): void {
    this.#requireIdle('rollback')
    if (!Number.isInteger(length) || length < 0 || length > this.length) {
      throw new RangeError(`cannot roll back to length ${length}: the sequence has ${this.length} tokens`)
    }
    this.#forget(length)
  }

  close(): void {
    if (this.#closed) return
    const { loop, memory, onClose } = this.#context
    this.#closed = true
    if (this.#step) loop.cancel(this.#step, this.#notIdle('step'))
    else if (this.#place.arena) loop.remember(this.#tokens, this.#place, () => undefined)
    memory.close(this.#place)
    onClose()
    loop.wake()
  }

  #forget(length: number): void {
    this.#tokens.length = length
    this.#place.rows = Math.min(this.#place.rows, length)
  }

  #request(tokens: readonly number[], options: StepOptions): StepRequest {
    const { rows = 'last', features = 0, temperature = 1, candidates } = options
    const count = tokens.length
    const wanted = rows === 'last' ? 1 : rows === 'all' ? count : rows
    for (const [what, n] of [
      ['score', wanted],
      ['give the hidden states of', features],
    ] as const) {
      if (!Number.isInteger(n) || n < 0 || n > count) {
        throw new RangeError(`cannot ${what} ${n} rows of a step of ${count} tokens`)
      }
    }
    if (candidates && candidates.length !== wanted) {
      throw new RangeError(`candidates are given for ${candidates.length} rows, but ${wanted} rows are scored`)
    }
    for (const ids of candidates ?? []) for (let i = 0; i < ids.length; i++) this.#checkId(ids[i]!, 'candidate')
    const temperatureOf = checkedTemperature(temperature, wanted)
    return { tokens: this.#tokens, newTokens: count, rows: wanted, temperature: temperatureOf, candidates, features }
  }

  #checkTokens(tokens: readonly number[]): void {
    if (tokens.length === 0) throw new RangeError('a step needs at least one token')
    for (const id of tokens) this.#checkId(id, 'token')
    const { name, maxContext } = this.#context
    if (this.length + tokens.length > maxContext) {
      throw new PlateauError(
        'CONTEXT_OVERFLOW',
        `${tokens.length} more tokens after ${this.length} do not fit the ${maxContext} that "${name}" can hold.`,
        { facts: { model: name, length: this.length, tokens: tokens.length, maxContext } },
      )
    }
  }

  #checkId(id: number, kind: 'token' | 'candidate'): void {
    const { name, vocabSize } = this.#context
    if (Number.isInteger(id) && id >= 0 && id < vocabSize) return
    throw new PlateauError(
      'TOKEN_OUT_OF_RANGE',
      `The ${kind} id ${id} is not in the vocabulary of "${name}", which has ${vocabSize} ids.`,
      { facts: { model: name, id, vocabSize } },
    )
  }

  #requireIdle(action: string): void {
    if (this.#closed || this.#step) throw this.#notIdle(action)
  }

  #notIdle(action: string): PlateauError {
    const { name } = this.#context
    const [code, why] = this.#closed
      ? ['SEQUENCE_CLOSED', 'it is closed']
      : ['SEQUENCE_BUSY', 'its previous step has not finished']
    return new PlateauError(code, `A sequence of "${name}" cannot ${action}: ${why}.`, { facts: { model: name } })
  }
}

function checkedTemperature(temperature: number | ArrayLike<number>, rows: number): (row: number) => number {
  const each = typeof temperature === 'number' ? [temperature] : Array.from(temperature)
  if (typeof temperature !== 'number' && each.length !== rows) {
    throw new RangeError(`${each.length} temperatures are given, but ${rows} rows are scored`)
  }
  for (const value of each) {
    if (!(value > 0 && value < Infinity)) throw new RangeError(`a temperature must be above 0, not ${value}`)
  }
  return typeof temperature === 'number' ? () => temperature : (row) => each[row]!
}
