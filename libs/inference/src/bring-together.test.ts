import { expect, it } from 'vitest'
import { bringTogether } from './bring-together.js'
import { kvRowBytes, type KvPlace } from './kv-arena.js'
import { KvMemory } from './kv-memory.js'

const shape = { layers: 1, kvHeads: 1, headDim: 1 }

/** Places 0..7 in slots 0..7, the n-th with n + 1 rows of the number n; the third has closed. */
function eightPlaces(): KvPlace[] {
  const memory = new KvMemory(shape, { budgetBytes: 1000 * kvRowBytes(shape), prefixBytes: 0 })
  const places = Array.from({ length: 8 }, (_, n) => {
    const place = memory.open()
    memory.reserve(place, n + 1, n + 1, { pinned: () => false, stale: () => false })
    place.arena!.append(place, new Float32Array(2 * (n + 1)).fill(n), 0, n + 1, n + 1)
    return place
  })
  memory.close(places[2]!)
  return places
}

it.each([[[0, 7]], [[0, 3, 7]], [[1, 6, 7]], [[0, 1, 4, 5, 7]], [[7, 0, 4]], [[5]], [[0, 1, 3, 4, 5, 6, 7]]])(
  'places %j lie close together afterwards, and everybody has their rows',
  (chosen) => {
    const places = eightPlaces()
    const members = chosen.map((n) => places[n]!)
    const { arena } = members[0]!
    bringTogether(arena!, members)
    const slots = members.map(({ slot }) => slot)
    expect(new Set(slots).size).toBe(slots.length)
    expect(Math.max(...slots) - Math.min(...slots) + 1).toBeLessThanOrEqual(1.5 * slots.length)
    const open = places.filter((place) => place.arena)
    for (const place of open) {
      expect(arena!.places[place.slot]).toBe(place)
      const rows = new Float32Array(2 * place.rows)
      arena!.read(place, 0, place.rows, rows)
      expect(new Set(rows)).toEqual(new Set([places.indexOf(place)]))
    }
  },
)
