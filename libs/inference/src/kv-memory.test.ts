import { describe, expect, it } from 'vitest'
import { KvArena, kvRowBytes, type KvPlace } from './kv-arena.js'
import { contextThatFits, KvMemory } from './kv-memory.js'

const shape = { layers: 2, kvHeads: 2, headDim: 4 }
const rowBytes = kvRowBytes(shape)
const rowFloats = rowBytes / 4

function random(seed: number): () => number {
  let state = seed >>> 0
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
}

const nobody = { pinned: () => false, stale: () => false }

/** What a sequence's rows must hold: every number of a row says whose it is. */
function newPast(values: readonly number[], width: number): Float32Array {
  const heads = 2 * shape.layers * shape.kvHeads
  const data = new Float32Array(heads * width * shape.headDim)
  for (let head = 0; head < heads; head++) {
    values.forEach((value, i) => data.fill(value + head / 16, (head * width + i) * 4, (head * width + i + 1) * 4))
  }
  return data
}

function held(place: KvPlace): number[] {
  const read = new Float32Array(place.rows * rowFloats)
  place.arena?.read(place, 0, place.rows, read)
  const heads = 2 * shape.layers * shape.kvHeads
  const rows = Array.from({ length: place.rows }, (_, row) => read[row * 4]!)
  const wrong = read.findIndex((value, i) => {
    const [head, row] = [Math.floor(i / 4 / place.rows), Math.floor(i / 4) % place.rows]
    return head >= heads || value !== rows[row]! + head / 16
  })
  expect(wrong).toBe(-1)
  return rows
}

describe('keys and values', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('stay what was written, and within the budget, in random schedule %d', (seed) => {
    const next = random(seed)
    const budgetBytes = 3000 * rowBytes
    const memory = new KvMemory(shape, { budgetBytes, prefixBytes: budgetBytes / 4 })
    const open = new Map<KvPlace, number[]>()
    let value = 0
    let refused = 0
    let evicted = 0
    for (let turn = 0; turn < 1500; turn++) {
      memory.settle()
      if (open.size < 12 && next() < 0.2) open.set(memory.open(), [])
      const places = [...open.keys()]
      const place = places[Math.floor(next() * places.length)]
      if (!place) continue
      const rows = open.get(place)!
      const action = next()
      if (action < 0.08) {
        if (place.rows > 40) {
          memory.prefixes.add(
            '',
            rows,
            memory.freeBytes,
            (i, into) => place.arena!.read(place, i * 16, 16, into),
            () => undefined,
          )
        }
        memory.close(place)
        open.delete(place)
      } else if (action < 0.2) {
        rows.length = Math.floor(next() * rows.length)
        place.rows = Math.min(place.rows, rows.length)
      } else {
        const count = next() < 0.1 ? 1 + Math.floor(next() * 500) : 1 + Math.floor(next() * 6)
        if (!memory.reserve(place, place.rows + count, place.rows + count, nobody)) {
          refused++
          continue
        }
        // What it had may have been taken to make room for itself.
        rows.length = place.rows
        const written = Array.from({ length: count }, () => value++ % 100_000)
        place.arena!.append(place, newPast(written, count), 0, count, count)
        rows.push(...written)
      }
      const { reservedBytes, usedBytes } = memory.use
      expect(reservedBytes).toBeLessThanOrEqual(budgetBytes)
      expect(usedBytes).toBeLessThanOrEqual(reservedBytes)
      for (const [other, expected] of open) {
        if (other.rows < expected.length) {
          // It loses all of them or none.
          expected.length = 0
          evicted++
        }
        expect(other.rows).toBe(expected.length)
      }
      // Looking at every number every time would take a minute.
      const looked = [...open].filter(() => turn % 50 === 0)
      expect(looked.map(([other]) => held(other))).toEqual(looked.map(([, expected]) => expected))
    }
    expect(refused + evicted).toBeGreaterThan(0)
  })

  it('of neighbouring slots are one view of the buffers, in the order of slots', () => {
    const memory = new KvMemory(shape, { budgetBytes: 2 ** 20, prefixBytes: 0 })
    const places = [1, 2, 3].map((value) => {
      const place = memory.open()
      memory.reserve(place, 2, 2, nobody)
      place.arena!.append(place, newPast([value, value], 2), 0, 2, 2)
      return place
    })
    const feeds = places[0]!.arena!.feeds(1, 2)
    const key = feeds['past_key_0']!
    expect(key.dims).toEqual([2, 2, 64, 4])
    expect([key.data[0], key.data[2 * 64 * 4]]).toEqual([2, 3])
    expect(places[0]!.arena!.feeds(1, 2)).toBe(feeds)
  })
})

describe('when memory is short', () => {
  const budgetBytes = 300 * rowBytes

  it('the youngest loses its rows to an older one, which never loses its own to a younger', () => {
    const memory = new KvMemory(shape, { budgetBytes, prefixBytes: 0 })
    const [old, young] = [memory.open(), memory.open()]
    expect(memory.reserve(young, 120, 120, nobody)).toBe(true)
    expect(memory.reserve(old, 120, 120, nobody)).toBe(true)
    const youngest = memory.open()
    expect(memory.reserve(youngest, 120, 120, nobody)).toBe(false)
    expect(memory.reserve(old, 200, 200, nobody)).toBe(true)
    expect(young.arena).toBeUndefined()
    memory.close(old)
    expect(memory.reserve(youngest, 120, 120, nobody)).toBe(true)
  })

  it('one that has gone stale may lose its rows, one that runs may not', () => {
    const memory = new KvMemory(shape, { budgetBytes, prefixBytes: 0 })
    const [old, young] = [memory.open(), memory.open()]
    memory.reserve(old, 250, 250, nobody)
    expect(memory.reserve(young, 250, 250, { pinned: () => true, stale: () => true })).toBe(false)
    expect(memory.reserve(young, 250, 250, { pinned: () => false, stale: () => true })).toBe(true)
    expect(old.rows).toBe(0)
  })

  it('kept prefixes go before anybody loses rows', () => {
    const memory = new KvMemory(shape, { budgetBytes, prefixBytes: budgetBytes })
    const [old, young] = [memory.open(), memory.open()]
    memory.reserve(young, 60, 60, nobody)
    memory.prefixes.add(
      '',
      Array.from({ length: 160 }, (_, i) => i),
      memory.freeBytes,
      () => {},
      () => undefined,
    )
    expect(memory.prefixes.bytes).toBeGreaterThan(0)
    expect(memory.reserve(old, 60, 60, nobody)).toBe(true)
    expect(memory.reserve(old, 128, 128, nobody)).toBe(true)
    expect(memory.prefixes.bytes).toBeLessThan(160 * rowBytes)
    expect(young.arena).toBeDefined()
  })

  it('a context longer than the budget holds is cut, and a budget for next to nothing refused', () => {
    expect(contextThatFits(shape, 900 * rowBytes, 8192, 'm')).toBe(800)
    expect(contextThatFits(shape, 900 * rowBytes, 100, 'm')).toBe(100)
    expect(() => contextThatFits(shape, 10 * rowBytes, 100, 'm')).toThrow(
      expect.objectContaining({ code: 'CACHE_TOO_SMALL' }),
    )
  })

  it('a lone sequence of the longest context fits, whatever lengths it passes on the way', () => {
    const budget = 1200 * rowBytes
    const memory = new KvMemory(shape, { budgetBytes: budget, prefixBytes: budget / 4 })
    const longest = contextThatFits(shape, budget, 8192, 'm')
    const place = memory.open()
    for (let rows = 1; rows <= longest; rows++) {
      memory.settle()
      expect(memory.reserve(place, rows, rows, nobody)).toBe(true)
      // Taken from itself where a larger home was needed: it is computed anew.
      const missing = rows - place.rows
      place.arena!.append(place, newPast(Array<number>(missing).fill(7), missing), 0, missing, missing)
      expect(memory.use.reservedBytes).toBeLessThanOrEqual(budget)
    }
  })

  it('of the machine itself, the one that asked fails, the others are computed again, and it goes on', () => {
    const memory = new KvMemory(shape, { budgetBytes: 2 ** 52, prefixBytes: 0 })
    const [small, huge] = [memory.open(), memory.open()]
    memory.reserve(small, 10, 500, nobody)
    expect(() => memory.reserve(huge, 2 ** 45 / rowBytes, 500, nobody)).toThrow(
      expect.objectContaining({ code: 'MEMORY_EXHAUSTED', retryable: true }),
    )
    expect([small.arena, memory.use.reservedBytes]).toEqual([undefined, 0])
    expect(memory.reserve(small, 10, 500, nobody)).toBe(true)
    small.arena!.append(small, newPast([3], 1), 0, 1, 1)
    expect(held(small)).toEqual([3])
  })

  it('of the machine itself for a move, the place is in neither arena', () => {
    const [from, to] = [new KvArena(shape), new KvArena(shape)]
    const place: KvPlace = { arena: undefined, slot: -1, rows: 0, reserved: 0, scope: '' }
    from.hold(place, 10)
    expect(from.places).toEqual([place])
    expect(() => to.hold(place, 2 ** 45 / rowBytes)).toThrow(expect.objectContaining({ code: 'MEMORY_EXHAUSTED' }))
    expect([from.places, to.places, place.arena, place.rows]).toEqual([[], [], undefined, 0])
  })

  it('closing gives memory back that others can have at once', () => {
    const memory = new KvMemory(shape, { budgetBytes, prefixBytes: 0 })
    const places = [memory.open(), memory.open()]
    expect(places.map((place) => memory.reserve(place, 128, 128, nobody))).toEqual([true, true])
    const next = memory.open()
    expect(memory.reserve(next, 128, 128, nobody)).toBe(false)
    memory.close(places[0]!)
    expect(memory.reserve(next, 128, 128, nobody)).toBe(true)
    for (const place of [places[1]!, next]) memory.close(place)
    memory.settle()
    expect(memory.use.reservedBytes).toBeLessThanOrEqual(budgetBytes / 8)
  })
})
