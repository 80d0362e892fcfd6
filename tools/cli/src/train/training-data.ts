import { windowRows, type DraftRows, type WindowExpectations } from '@plateau/inference'
import { countTokens } from '@plateau/training'
import { partOf, type Part } from './split.js'
import type { WindowStore } from './window-store.js'

/** A held-out window, with what its figures are broken down by. */
export interface HeldOutWindow {
  readonly rows: DraftRows
  readonly domain: string
  /** As its sample's name tells it; undefined where it does not. */
  readonly temperature: number | undefined
  /** Every token is the target's most probable one. */
  readonly isGreedy: boolean
  readonly sampleId: string
}

/** Held out windows stay in memory, some 5 KB a position of a small model. */
const MOST_HELD_OUT_POSITIONS = 16_000
/** Windows that random order is made of at a time. */
const POOL_WINDOWS = 192

/** A store's windows as rows that a draft can learn from, by what they are for. */
export class TrainingData {
  readonly #store: WindowStore
  readonly #expected: WindowExpectations

  constructor(store: WindowStore, expected: WindowExpectations) {
    this.#store = store
    this.#expected = expected
  }

  /** Every training window once, in the order of the store, from the `skip`th on. */
  async *training(skip = 0): AsyncGenerator<DraftRows> {
    let at = 0
    for await (const window of this.#store.read()) {
      if (partOf(window) !== 'training') continue
      if (at++ >= skip) yield windowRows(window.window!, this.#expected, window.weights)
    }
  }

  /** Endless, in random order; every window once before any comes again. `random` is uniform in [0, 1). */
  async *shuffled(random: () => number): AsyncGenerator<DraftRows> {
    let pool: DraftRows[] = []
    for (;;) {
      for await (const window of this.#store.read(random)) {
        if (partOf(window) !== 'training') continue
        pool.push(windowRows(window.window!, this.#expected, window.weights))
        if (pool.length >= POOL_WINDOWS) yield takeAny(pool, random)
      }
      while (pool.length > 0) yield takeAny(pool, random)
      pool = []
    }
  }

  /** The oldest windows set aside for `part`, as many as memory is given for. */
  async heldOut(part: Exclude<Part, 'training'>): Promise<HeldOutWindow[]> {
    const windows: HeldOutWindow[] = []
    let positions = 0
    for await (const stored of this.#store.read()) {
      if (partOf(stored) !== part || positions >= MOST_HELD_OUT_POSITIONS) continue
      const window = stored.window!
      const rows = windowRows(window, this.#expected)
      const k = window.top!.k
      windows.push({
        rows,
        domain: window.domain,
        temperature: temperatureOf(window.sampleId),
        isGreedy: window.tokenIds.every((token, i) => window.top!.ids[i * k] === token),
        sampleId: window.sampleId,
      })
      positions += rows.length
    }
    return windows
  }

  /** What the target gave to each token, over the training windows. */
  async tokenCounts(): Promise<{ counts: Float64Array; positions: number }> {
    const counts = new Float64Array(this.#expected.vocabSize)
    let positions = 0
    for await (const rows of this.training()) {
      countTokens(counts, rows)
      positions += rows.length
    }
    return { counts, positions }
  }
}

/** "...@0.7": how answers to prompts are named. */
export function sampleName(id: string, pass: number, temperature: number): string {
  return `${id}#${pass}@${temperature}`
}

function temperatureOf(sampleId: string): number | undefined {
  const match = /@(\d+(?:\.\d+)?)$/.exec(sampleId)
  return match === null ? undefined : Number(match[1])
}

function takeAny(pool: DraftRows[], random: () => number): DraftRows {
  const at = Math.floor(random() * pool.length)
  const taken = pool[at]!
  pool[at] = pool.at(-1)!
  pool.pop()
  return taken
}
