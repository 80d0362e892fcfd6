import { decoderInputs, type CausalLmConfig } from '@plateau/causal-lm'
import { float32, type FloatTensor, type HostTensor } from './host-tensor.js'

/** Buffers grow by this many rows: the graph computes on whole buffers, and every size costs the engine a plan. */
const bucketRows = 64

/**
 * Keys and values of one sequence: for every layer one buffer [1, kvHeads, rows, headDim] each. Rows from the sequence's
 * length on hold leftovers (rejected tokens); the mask hides them and the next write replaces them, so going back is
 * free. Leftovers are always finite numbers: attention multiplies them by 0.
 */
export class KvCache {
  readonly #config: CausalLmConfig
  #rows = 0
  /** Layer by layer: keys, values. */
  #buffers: FloatTensor[]

  constructor(config: CausalLmConfig) {
    this.#config = config
    this.#buffers = Array.from({ length: 2 * config.layers }, () => this.#buffer(0))
    this.reserve(1)
  }

  get rows(): number {
    return this.#rows
  }

  /** The buffers as the graph's inputs. */
  feeds(): Record<string, HostTensor> {
    const feeds: Record<string, HostTensor> = {}
    for (let layer = 0; layer < this.#config.layers; layer++) {
      feeds[decoderInputs.pastKey(layer)] = this.#buffers[2 * layer]!
      feeds[decoderInputs.pastValue(layer)] = this.#buffers[2 * layer + 1]!
    }
    return feeds
  }

  /** Writes the graph's `newPast` [1, layers * 2 * kvHeads, count, headDim] from row `from` on. */
  write(newPast: Float32Array, count: number, from: number): void {
    this.reserve(from + count)
    const { kvHeads, headDim } = this.#config
    let source = 0
    for (const { data } of this.#buffers) {
      for (let head = 0; head < kvHeads; head++) {
        const next = source + count * headDim
        data.set(newPast.subarray(source, next), (head * this.#rows + from) * headDim)
        source = next
      }
    }
  }

  /** Grows the buffers to hold `rows`, keeping what they hold. */
  reserve(rows: number): void {
    if (rows <= this.#rows) return
    const before = this.#rows
    this.#rows = Math.ceil(rows / bucketRows) * bucketRows
    const { kvHeads, headDim } = this.#config
    this.#buffers = this.#buffers.map(({ data }) => {
      const grown = this.#buffer(this.#rows)
      for (let head = 0; head < kvHeads; head++) {
        const held = data.subarray(head * before * headDim, (head + 1) * before * headDim)
        grown.data.set(held, head * this.#rows * headDim)
      }
      return grown
    })
  }

  /** Lets the memory go. The cache must not be fed afterwards. */
  free(): void {
    this.#buffers = []
  }

  #buffer(rows: number): FloatTensor {
    const { kvHeads, headDim } = this.#config
    return float32(new Float32Array(kvHeads * rows * headDim), [1, kvHeads, rows, headDim])
  }
}

/**
 * [1, 1, count, rows + count] for `count` new tokens after `length` old ones in buffers of `rows`: each sees the valid
 * past and the new tokens up to itself.
 */
export function attentionMask(count: number, length: number, rows: number): FloatTensor {
  const width = rows + count
  const mask = new Float32Array(count * width)
  for (let i = 0; i < count; i++) {
    const row = i * width
    mask.fill(hidden, row + length, row + rows)
    mask.fill(hidden, row + rows + i + 1, row + width)
  }
  return float32(mask, [1, 1, count, width])
}

/** Not minus infinity: softmax turns a row of those into NaN. */
const hidden = -1e9
