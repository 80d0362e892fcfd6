/** One run of several steps: what it feeds the graph. */
import { decoderInputs, type CausalLmConfig } from '@plateau/causal-lm'
import { float32, int32, type HostTensor } from './host-tensor.js'
import type { KvArena } from './kv-arena.js'
import type { Chunk, PendingStep } from './pending-step.js'

export interface BatchMember {
  readonly step: PendingStep
  readonly chunk: Chunk
}

/** Neighbouring slots of an arena, with those of no member among them: B sequences of up to `width` = S new tokens. */
export interface BatchPlace {
  readonly arena: KvArena
  readonly first: number
  readonly slots: number
  readonly width: number
  /** New tokens of all members. */
  readonly tokens: number
}

/** All members have their place in `arena`. */
export function batchPlace(arena: KvArena, members: readonly BatchMember[]): BatchPlace {
  const slots = members.map(({ step }) => step.place.slot)
  const counts = members.map(({ chunk }) => chunk.to - chunk.from)
  const first = Math.min(...slots)
  return {
    arena,
    first,
    slots: Math.max(...slots) - first + 1,
    width: Math.max(...counts),
    tokens: counts.reduce((sum, count) => sum + count, 0),
  }
}

/** Builds the feeds of one run after the other, in arrays that it fills anew: the engine reads them in place. */
export class BatchFeeds {
  readonly #config: CausalLmConfig
  readonly #ints = new Map<string, Int32Array>()
  #floats = new Float32Array(0)

  constructor(config: CausalLmConfig) {
    this.#config = config
  }

  build(place: BatchPlace, members: readonly BatchMember[]): Record<string, HostTensor> {
    return {
      ...place.arena.feeds(place.first, place.slots),
      ...this.#tokens(place, members),
      ...this.#rows(members),
      [decoderInputs.mask]: this.#mask(place, members),
    }
  }

  #tokens({ first, slots, width, tokens }: BatchPlace, members: readonly BatchMember[]): Record<string, HostTensor> {
    const { heads } = this.#config
    const [tokenIds, positions, origin] = ['tokens', 'positions', 'origin'].map((name) => this.#array(name, tokens))
    const packed = this.#array('packed', slots * width).fill(0)
    let at = 0
    for (const { step, chunk } of members) {
      const sequence = step.place.slot - first
      for (let i = chunk.from; i < chunk.to; i++, at++) {
        tokenIds![at] = step.request.tokens[i]!
        positions![at] = i
        origin![at] = sequence * heads * width + i - chunk.from
        packed[sequence * width + i - chunk.from] = at
      }
    }
    return {
      [decoderInputs.tokenIds]: int32(tokenIds!),
      [decoderInputs.positions]: int32(positions!),
      [decoderInputs.origin]: int32(origin!),
      [decoderInputs.packed]: int32(packed, [slots, width]),
    }
  }

  #rows(members: readonly BatchMember[]): Record<string, HostTensor> {
    const rows: number[] = []
    const features: number[] = []
    const tempered: number[] = []
    const temperatures: number[] = []
    let start = 0
    for (const { chunk } of members) {
      for (let i = chunk.firstFeature; i < chunk.to; i++) features.push(start + i - chunk.from)
      chunk.temperatures.forEach((temperature, i) => {
        if (temperature !== 1) {
          tempered.push(rows.length)
          temperatures.push(temperature)
        }
        rows.push(start + chunk.firstRow + i - chunk.from)
      })
      start += chunk.to - chunk.from
    }
    const candidates = members.flatMap(({ chunk }) => chunk.candidates)
    if (rows.length === 0) {
      // The engine divides by the number of rows, and ends the process where that is 0.
      rows.push(0)
      candidates.push(undefined)
    }
    return {
      [decoderInputs.featureRows]: int32(features),
      [decoderInputs.rows]: int32(rows),
      [decoderInputs.temperedRows]: int32(tempered),
      [decoderInputs.temperature]: float32(Float32Array.from(temperatures), [temperatures.length, 1]),
      [decoderInputs.candidates]: candidateFeed(candidates),
    }
  }

  /**
   * [slots, 1, width, rows + width]: a token sees the filled past and the new tokens up to itself, as far back as the
   * sliding window reaches. What stands where no token is, nobody reads.
   */
  #mask({ arena, first, slots, width }: BatchPlace, members: readonly BatchMember[]): HostTensor {
    const total = arena.rows + width
    const size = slots * width * total
    if (this.#floats.length < size) this.#floats = new Float32Array(2 * size)
    const mask = this.#floats.subarray(0, size).fill(0)
    const window = this.#config.slidingWindow ?? Infinity
    for (const { step, chunk } of members) {
      const { from, to } = chunk
      for (let i = 0; i < to - from; i++) {
        const row = ((step.place.slot - first) * width + i) * total
        mask.fill(hidden, row + from, row + arena.rows)
        mask.fill(hidden, row + arena.rows + i + 1, row + total)
        const forgotten = Math.max(0, from + i + 1 - window)
        mask.fill(hidden, row, row + Math.min(from, forgotten))
        mask.fill(hidden, row + arena.rows, row + arena.rows + Math.max(0, forgotten - from))
      }
    }
    return float32(mask, [slots, 1, width, total])
  }

  #array(name: string, length: number): Int32Array {
    let array = this.#ints.get(name)
    if (!array || array.length < length) this.#ints.set(name, (array = new Int32Array(2 * length)))
    return array.subarray(0, length)
  }
}

/** Rows of unequal length as one i32 tensor [rows, longest]; id 0 fills up. */
function candidateFeed(candidates: readonly (ArrayLike<number> | undefined)[]): HostTensor {
  const width = candidates.reduce((longest, ids) => Math.max(longest, ids?.length ?? 0), 1)
  const data = new Int32Array(candidates.length * width)
  candidates.forEach((ids, row) => ids && data.set(ids, row * width))
  return int32(data, [candidates.length, width])
}

/** Not minus infinity: softmax turns a row of those into NaN. */
const hidden = -1e9
