import { decoderInputs } from '@plateau/causal-lm'
import { PlateauError } from '@plateau/contracts'
import { float32, type FloatTensor, type HostTensor } from './host-tensor.js'

/** What a row of keys and values is made of: for each layer keys and values [kvHeads, headDim] of one token. */
export interface KvShape {
  readonly layers: number
  readonly kvHeads: number
  readonly headDim: number
}

export function kvRowBytes({ layers, kvHeads, headDim }: KvShape): number {
  return 2 * layers * kvHeads * headDim * Float32Array.BYTES_PER_ELEMENT
}

/** Where a sequence's keys and values lie. Without an arena it holds none. */
export interface KvPlace {
  arena: KvArena | undefined
  slot: number
  /** Filled rows, from the first: the sequence's tokens that need not be computed again. */
  rows: number
  /** Rows that its run in preparation is to fill. */
  reserved: number
  /** Whose text it is: beginnings are shared with texts of the same scope only. */
  readonly scope: string
}

/**
 * Keys and values of several sequences of like length: for every layer two buffers [slots, kvHeads, rows, headDim]. A
 * batch over neighbouring slots is a view of them, without a copy.
 *
 * Rows beyond those a sequence has filled hold leftovers; the mask hides them and the next write replaces them, so going
 * back is free. Leftovers are always finite numbers: attention multiplies them by 0.
 *
 * Everything that moves data belongs between two runs of the engine; `leave` may come at any time.
 */
export class KvArena {
  /** By slot; a hole is a slot that its sequence has left. The last one is never a hole. */
  readonly places: (KvPlace | undefined)[] = []
  readonly #shape: KvShape
  readonly #rowFloats: number
  #rows = 0
  #capacity = 0
  /** Layer by layer: keys, values. */
  #buffers: Float32Array[]
  #views = new Map<string, Record<string, FloatTensor>>()

  constructor(shape: KvShape) {
    this.#shape = shape
    this.#rowFloats = shape.kvHeads * shape.headDim
    this.#buffers = Array.from({ length: 2 * shape.layers }, () => new Float32Array(0))
  }

  /** Rows of every slot: P of the graph. */
  get rows(): number {
    return this.#rows
  }

  /** Memory it holds. */
  get bytes(): number {
    return this.#bytesOf(this.#capacity)
  }

  /** Memory of rows that sequences have filled. */
  get usedBytes(): number {
    return this.places.reduce((sum, place) => sum + (place?.rows ?? 0), 0) * kvRowBytes(this.#shape)
  }

  /** Memory it needs for what it holds, and for `place` with `rows` rows when those are given. */
  bytesFor(place?: KvPlace, rows = 0): number {
    const joins = place !== undefined && place.arena !== this && !this.places.includes(undefined)
    return this.#bytesOf(
      (this.places.length + (joins ? 1 : 0)) * this.#rowFloats * Math.max(this.#filledRows(), bucket(rows)),
    )
  }

  /** Gives `place` a slot here, with what it holds elsewhere, and room for `rows` rows. May take `spareBytes` more. */
  hold(place: KvPlace, rows: number, spareBytes = 0): void {
    const from = place.arena === this ? undefined : { ...place }
    if (from) this.#seat(place)
    const needed = Math.max(this.#filledRows(), bucket(rows))
    const fits = needed <= this.#rows && this.places.length * this.#rows * this.#rowFloats <= this.#capacity
    place.reserved = rows
    try {
      if (!fits) this.#layOut(needed, spareBytes)
      if (!from?.arena) return
      place.rows = from.rows
      from.arena.#copyRows(from.slot, from.rows, this, place.slot)
    } finally {
      // Also where there was no memory: the place is nowhere then.
      if (from?.arena) from.arena.#empty(from.slot)
    }
  }

  leave(place: KvPlace): void {
    if (place.arena !== this) return
    this.#empty(place.slot)
    Object.assign(place, { arena: undefined, rows: 0, reserved: 0 })
  }

  /** Rows as few as the longest sequence needs, when that is well below what there are: attention reads all of them. */
  settle(): void {
    for (const place of this.places) if (place) place.reserved = 0
    const filled = this.#filledRows()
    if (filled * 1.5 <= this.#rows) this.#layOut(filled, 0)
  }

  /** No more memory than needed, and no holes. */
  trim(): void {
    for (let hole = this.places.indexOf(undefined); hole >= 0; hole = this.places.indexOf(undefined)) {
      this.swap(hole, this.places.length - 1)
      this.#dropTrailingHoles()
    }
    this.#layOut(this.#filledRows(), 0, { shrink: true })
  }

  /** The buffers of `count` slots from `first` on, as the graph's inputs. */
  feeds(first: number, count: number): Record<string, HostTensor> {
    const key = `${first} ${count}`
    const known = this.#views.get(key)
    if (known) return known
    const size = this.#rows * this.#rowFloats
    const dims = [count, this.#shape.kvHeads, this.#rows, this.#shape.headDim]
    const view = (index: number) => float32(this.#buffers[index]!.subarray(first * size, (first + count) * size), dims)
    const feeds: Record<string, FloatTensor> = {}
    for (let layer = 0; layer < this.#shape.layers; layer++) {
      feeds[decoderInputs.pastKey(layer)] = view(2 * layer)
      feeds[decoderInputs.pastValue(layer)] = view(2 * layer + 1)
    }
    this.#views.set(key, feeds)
    return feeds
  }

  /** Appends `count` rows of the graph's `newPast` [B, layers * 2 * kvHeads, width, headDim], of its sequence `index`. */
  append(place: KvPlace, newPast: Float32Array, index: number, width: number, count: number): void {
    const { kvHeads, headDim } = this.#shape
    let source = index * this.#buffers.length * kvHeads * width * headDim
    for (const buffer of this.#buffers) {
      for (let head = 0; head < kvHeads; head++, source += width * headDim) {
        copyFloats(newPast, source, buffer, this.#at(place.slot, head) + place.rows * headDim, count * headDim)
      }
    }
    place.rows += count
  }

  /** Rows [from, from + count) of a place as [layers * 2, kvHeads, count, headDim]. */
  read(place: KvPlace, from: number, count: number, into: Float32Array): void {
    this.#eachHead(place, from, count, (buffer, at, size, offset) => into.set(buffer.subarray(at, at + size), offset))
  }

  /** Appends what `read` gave. */
  restore(place: KvPlace, data: Float32Array, count: number): void {
    this.#eachHead(place, place.rows, count, (buffer, at, size, offset) =>
      buffer.set(data.subarray(offset, offset + size), at),
    )
    place.rows += count
  }

  /** Exchanges two slots. */
  swap(a: number, b: number): void {
    if (a === b) return
    const [atA, atB] = [this.places[a], this.places[b]]
    const longest = Math.max(atA?.rows ?? 0, atB?.rows ?? 0) * this.#shape.headDim
    for (const buffer of this.#buffers) {
      for (let head = 0; head < this.#shape.kvHeads; head++) {
        const [from, to] = [this.#at(a, head), this.#at(b, head)]
        const kept = buffer.slice(from, from + longest)
        buffer.copyWithin(from, to, to + longest)
        buffer.set(kept, to)
      }
    }
    this.places[a] = atB
    this.places[b] = atA
    if (atA) atA.slot = b
    if (atB) atB.slot = a
  }

  #seat(place: KvPlace): void {
    const hole = this.places.indexOf(undefined)
    const slot = hole < 0 ? this.places.length : hole
    Object.assign(place, { arena: this, slot, rows: 0, reserved: 0 })
    this.places[slot] = place
  }

  #empty(slot: number): void {
    this.places[slot] = undefined
    this.#dropTrailingHoles()
  }

  #dropTrailingHoles(): void {
    while (this.places.length > 0 && this.places.at(-1) === undefined) this.places.pop()
  }

  #filledRows(): number {
    let longest = 0
    for (const place of this.places) if (place) longest = Math.max(longest, place.rows, place.reserved)
    return bucket(longest)
  }

  #bytesOf(floats: number): number {
    return this.#buffers.length * floats * Float32Array.BYTES_PER_ELEMENT
  }

  #at(slot: number, head: number): number {
    return (slot * this.#shape.kvHeads + head) * this.#rows * this.#shape.headDim
  }

  /** Brings all slots to `rows` rows each, in the buffers there are or in larger ones. */
  #layOut(rows: number, spareBytes: number, { shrink = false } = {}): void {
    const needed = this.places.length * rows * this.#rowFloats
    const spare = Math.floor(spareBytes / this.#bytesOf(1))
    const capacity = needed > this.#capacity ? needed + Math.min(spare, needed >> 1) : shrink ? needed : this.#capacity
    if (rows === this.#rows && capacity === this.#capacity) return
    this.#views.clear()
    try {
      for (const [i, buffer] of this.#buffers.entries()) {
        const target = capacity === this.#capacity ? buffer : new Float32Array(capacity)
        this.#moveBlocks(buffer, this.#rows, target, rows)
        this.#buffers[i] = target
      }
    } catch (cause) {
      const bytes = this.#bytesOf(capacity)
      this.#loseAll()
      throw new PlateauError('MEMORY_EXHAUSTED', `There is no memory for ${bytes} bytes of keys and values.`, {
        facts: { bytes },
        cause,
        retryable: true,
      })
    }
    this.#rows = rows
    this.#capacity = capacity
  }

  /** Some buffers are laid out anew and some are not: what they hold has to be computed again. */
  #loseAll(): void {
    this.#buffers = this.#buffers.map(() => new Float32Array(0))
    this.#rows = 0
    this.#capacity = 0
    for (const place of this.places) if (place) Object.assign(place, { arena: undefined, rows: 0, reserved: 0 })
    this.places.length = 0
  }

  /** In the same buffer blocks move apart from the last one on, and together from the first: none is overwritten. */
  #moveBlocks(source: Float32Array, before: number, target: Float32Array, after: number): void {
    const { kvHeads, headDim } = this.#shape
    const blocks = this.places.length * kvHeads
    for (let n = 0; n < blocks; n++) {
      const block = after > before ? blocks - 1 - n : n
      const size = (this.places[Math.floor(block / kvHeads)]?.rows ?? 0) * headDim
      if (size > 0) copyFloats(source, block * before * headDim, target, block * after * headDim, size)
    }
  }

  #copyRows(slot: number, rows: number, to: KvArena, toSlot: number): void {
    const size = rows * this.#shape.headDim
    for (let i = 0; i < this.#buffers.length; i++) {
      for (let head = 0; head < this.#shape.kvHeads; head++) {
        copyFloats(this.#buffers[i]!, this.#at(slot, head), to.#buffers[i]!, to.#at(toSlot, head), size)
      }
    }
  }

  #eachHead(
    place: KvPlace,
    from: number,
    count: number,
    visit: (buffer: Float32Array, at: number, size: number, offset: number) => void,
  ): void {
    const size = count * this.#shape.headDim
    let offset = 0
    for (const buffer of this.#buffers) {
      for (let head = 0; head < this.#shape.kvHeads; head++, offset += size) {
        visit(buffer, this.#at(place.slot, head) + from * this.#shape.headDim, size, offset)
      }
    }
  }
}

/** Rows come in steps of an eighth, at least 64: the graph computes on all of them, and every size costs a new layout. */
function bucket(rows: number): number {
  const step = Math.max(64, 2 ** (Math.floor(Math.log2(Math.max(1, rows))) - 3))
  return Math.max(1, Math.ceil(rows / step)) * step
}

/** A loop for the few numbers of one token: making a view costs more than copying them. */
function copyFloats(from: Float32Array, at: number, to: Float32Array, toAt: number, count: number): void {
  if (from === to) to.copyWithin(toAt, at, at + count)
  else if (count > 256) to.set(from.subarray(at, at + count), toAt)
  else for (let i = 0; i < count; i++) to[toAt + i] = from[at + i]!
}
