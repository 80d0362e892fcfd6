import type { InferenceSession } from '@plateau/inference'
import type { EngineTensor, TrainingEngine } from '@plateau/training'

/** Sizes that there are graphs for. Each takes memory: on SmolLM2, with 8,192 tokens, about 100 MB. */
const SIZES = 4

type Feeds = Readonly<Record<string, EngineTensor>>

/**
 * A training step as graphs of several sizes: each takes so many rows to the output head, and a step runs on the smallest
 * that holds the rows that count something in it. Graphs are loaded when they are first needed, and are the same function
 * but for the rows of weight 0 that they leave out. With half of the rows a step of a feature-fed head takes 51 ms of CPU
 * instead of 59 (demo target) and 201 instead of 244 (SmolLM2, 8,192 tokens): the decoder layer sees all rows.
 *
 * To whoever feeds it it is a graph with `selectedRows` = all rows of the step, those that count in front.
 */
export class StepGraphs implements TrainingEngine {
  readonly #rows: number
  readonly #load: (selectedRows: number) => Promise<InferenceSession>
  readonly #loaded = new Map<number, InferenceSession>()

  /** `load`: the graph of a step of `rows` rows, so many of them selected. */
  constructor(rows: number, load: (selectedRows: number) => Promise<InferenceSession>) {
    this.#rows = rows
    this.#load = load
  }

  run(feeds: Feeds): ReturnType<TrainingEngine['run']> {
    return this.runInto(feeds, {})
  }

  async runInto(feeds: Feeds, into: Feeds): ReturnType<TrainingEngine['run']> {
    const size = this.#sizeFor(feeds['row_weights']!)
    const session = this.#loaded.get(size) ?? (await this.#load(size))
    this.#loaded.set(size, session)
    return session.runInto({ ...feeds, ...firstRows(feeds, size) }, into)
  }

  /** How many rows met the output head in the graphs that were needed so far. */
  get sizes(): number[] {
    return [...this.#loaded.keys()]
  }

  async release(): Promise<void> {
    for (const session of this.#loaded.values()) await session.release()
  }

  #sizeFor({ data }: EngineTensor): number {
    const counting = (data as Float32Array).findLastIndex((weight) => weight > 0) + 1
    const part = Math.ceil(this.#rows / SIZES)
    return Math.min(this.#rows, part * Math.ceil(counting / part))
  }
}

const SELECTED = ['selected', 'target_ids', 'target_probs', 'row_weights'] as const

function firstRows(feeds: Feeds, rows: number): Feeds {
  return Object.fromEntries(SELECTED.map((name) => [name, firstOf(feeds[name]!, rows)]))
}

function firstOf({ type, dims: [all, ...rest], data }: EngineTensor, rows: number): EngineTensor {
  const to = rows * (data.length / all!)
  const dims = [rows, ...rest]
  return type === 'int64'
    ? { type, dims, data: (data as BigInt64Array).subarray(0, to) }
    : { type, dims, data: (data as Float32Array).subarray(0, to) }
}
