import { expect, test } from 'vitest'
import { assignSticky, type GroupMemberClaims, keyOf, type TopicPartition } from './assign-sticky.js'

test('a newcomer gets nothing that is held: its holder first has to give it up', () => {
  const counts = new Map([['t', 4]])
  const first = assignSticky([member('a', ['t'], all('t', 4), 1), member('b', ['t'])], counts)
  expect(heldBy(first, 'a')).toEqual(['t/0', 't/1'])
  expect(heldBy(first, 'b')).toEqual([])
  const second = assignSticky([member('a', ['t'], first.get('a'), 2), member('b', ['t'], [], 2)], counts)
  expect(heldBy(second, 'a')).toEqual(['t/0', 't/1'])
  expect(heldBy(second, 'b')).toEqual(['t/2', 't/3'])
})

test('what a member left behind goes to the others, who keep what they have', () => {
  const held = [{ topic: 't', partition: 1 }]
  const assigned = assignSticky([member('b', ['t'], held, 7)], new Map([['t', 3]]))
  expect(heldBy(assigned, 'b')).toEqual(['t/0', 't/1', 't/2'])
})

test('a settled group stays as it is, however many more members wait', () => {
  const members = [member('z', ['t'], all('t', 1), 3), member('a', ['t'], [], 3), member('b', ['t'])]
  expect(heldBy(assignSticky(members, new Map([['t', 1]])), 'z')).toEqual(['t/0'])
})

test('of two who say that they hold the same, the later one does', () => {
  const members = [member('a', ['t'], all('t', 1), 4), member('b', ['t'], all('t', 1), 5)]
  const assigned = assignSticky(members, new Map([['t', 1]]))
  expect(heldBy(assigned, 'a')).toEqual([])
  expect(heldBy(assigned, 'b')).toEqual(['t/0'])
})

test('members of different topics get only their own; what is gone is nobody’s', () => {
  const members = [member('x', ['a'], [{ topic: 'deleted', partition: 0 }], 1), member('y', ['a', 'b'])]
  const assigned = assignSticky(
    members,
    new Map([
      ['a', 3],
      ['b', 3],
    ]),
  )
  expect(heldBy(assigned, 'x')).toEqual(['a/0', 'a/1', 'a/2'])
  expect(heldBy(assigned, 'y')).toEqual(['b/0', 'b/1', 'b/2'])
})

test('members come and go: nothing is ever held by two, and each time it settles evenly with few moves', () => {
  const random = generator(20_261_126)
  for (let run = 0; run < 60; run++) {
    const counts = new Map(Array.from({ length: 1 + random(3) }, (_, i) => [`t${i}`, 1 + random(7)]))
    const topics = [...counts.keys()]
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
    let group = new Map<string, Holding>([['m0', { held: [], generation: -1 }]])
    for (let step = 1; step <= 8; step++) {
      const before = ownersIn(group)
      const isLeaving = group.size > 1 && random(2) === 0
      if (isLeaving) group.delete([...group.keys()][random(group.size)]!)
      else group.set(`m${run}-${step}`, { held: [], generation: -1 })
      const survivors = new Set(group.keys())
      group = settle(group, topics, counts, step * 10, random)

      const after = ownersIn(group)
      expect(after.size).toBe(total)
      const loads = [...group.values()].map(({ held }) => held.length)
      expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1)
      const moved = [...before].filter(([key, owner]) => survivors.has(owner) && after.get(key) !== owner).length
      expect(moved).toBeLessThanOrEqual(isLeaving ? 0 : Math.ceil(total / group.size))
    }
  }
})

interface Holding {
  readonly held: readonly TopicPartition[]
  readonly generation: number
}

/** Rebalances until nobody has anything to give up, as members do it, in any order of the members. */
function settle(
  group: Map<string, Holding>,
  topics: readonly string[],
  counts: ReadonlyMap<string, number>,
  generation: number,
  random: (below: number) => number,
): Map<string, Holding> {
  for (let round = 0; round < 5; round++) {
    const members = [...group].map(([id, { held, generation: since }]) => member(id, topics, held, since))
    const assigned = assignSticky(shuffled(members, random), counts)
    expect(assignSticky(members, counts)).toEqual(
      new Map(members.map(({ memberId }) => [memberId, assigned.get(memberId)])),
    )
    const givenUp = members.some(({ memberId, claims }) => {
      const kept = new Set(heldBy(assigned, memberId))
      return claims.some((claim) => !kept.has(keyOf(claim)))
    })
    for (const [id, mine] of assigned) {
      for (const key of mine.map(keyOf)) {
        const holder = members.find(({ claims }) => claims.some((claim) => keyOf(claim) === key))
        expect(holder === undefined || holder.memberId === id).toBe(true)
      }
    }
    group = new Map([...assigned].map(([id, held]) => [id, { held, generation: generation + round }]))
    if (!givenUp) return group
  }
  throw new Error('did not settle')
}

function member(
  memberId: string,
  topics: readonly string[],
  claims: readonly TopicPartition[] = [],
  generation = -1,
): GroupMemberClaims {
  return { memberId, topics, claims, generation }
}

function all(topic: string, partitions: number): TopicPartition[] {
  return Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
}

function heldBy(assigned: ReadonlyMap<string, readonly TopicPartition[]>, memberId: string): string[] {
  return (assigned.get(memberId) ?? []).map(keyOf).toSorted()
}

function ownersIn(group: ReadonlyMap<string, Holding>): Map<string, string> {
  const owners = [...group].flatMap(([id, { held }]) => held.map((partition) => [keyOf(partition), id] as const))
  expect(new Set(owners.map(([key]) => key)).size).toBe(owners.length)
  return new Map(owners)
}

function shuffled<T>(items: readonly T[], random: (below: number) => number): T[] {
  return items
    .map((item) => ({ item, at: random(1 << 20) }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item)
}

/** mulberry32 */
function generator(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}
