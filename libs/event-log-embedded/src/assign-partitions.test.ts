import { expect, test } from 'vitest'
import { assignPartitions, type GroupMember, type TopicPartition } from './assign-partitions.js'

const partitionsOf = (topic: string, count: number): TopicPartition[] =>
  Array.from({ length: count }, (_, partition) => ({ topic, partition }))

const member = (id: string, ...topics: string[]): GroupMember => ({ id, topics })

function countsOf(assigned: readonly (string | undefined)[]): Map<string | undefined, number> {
  const counts = new Map<string | undefined, number>()
  for (const id of assigned) counts.set(id, (counts.get(id) ?? 0) + 1)
  return counts
}

test('a single member gets everything it reads and nothing else', () => {
  const partitions = [...partitionsOf('a', 2), ...partitionsOf('b', 1)]
  expect(assignPartitions(partitions, [member('m', 'a')], [])).toEqual(['m', 'm', undefined])
})

test('no members, no owners', () => {
  expect(assignPartitions(partitionsOf('a', 2), [], ['gone', undefined])).toEqual([undefined, undefined])
})

test('members of the same topics differ by at most one partition, at any sizes', () => {
  for (let members = 1; members <= 5; members++) {
    for (let partitions = 1; partitions <= 9; partitions++) {
      const ids = Array.from({ length: members }, (_, i) => `m${i}`)
      const assigned = assignPartitions(
        partitionsOf('a', partitions),
        ids.map((id) => member(id, 'a')),
        [],
      )
      const counts = ids.map((id) => countsOf(assigned).get(id) ?? 0)
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
      expect(assigned).not.toContain(undefined)
    }
  }
})

test('a settled assignment stays as it is', () => {
  const current = ['b', 'a', 'b', 'a', 'a']
  expect(assignPartitions(partitionsOf('t', 5), [member('a', 't'), member('b', 't')], current)).toEqual(current)
})

test('a newcomer takes only its share; the others keep the rest', () => {
  const current = ['a', 'a', 'b', 'b', 'a', 'b']
  const members = ['a', 'b', 'c'].map((id) => member(id, 't'))
  const assigned = assignPartitions(partitionsOf('t', 6), members, current)
  expect(assigned.filter((id, index) => id !== current[index])).toEqual(['c', 'c'])
})

test('when a member leaves, only its partitions move', () => {
  const current = ['a', 'gone', 'b', 'gone', 'a', 'b']
  const assigned = assignPartitions(partitionsOf('t', 6), [member('a', 't'), member('b', 't')], current)
  expect(assigned).toEqual(['a', 'a', 'b', 'b', 'a', 'b'])
})

test('members of different topics get only their own', () => {
  const partitions = [...partitionsOf('a', 3), ...partitionsOf('b', 3)]
  const assigned = assignPartitions(partitions, [member('x', 'a'), member('y', 'a', 'b')], [])
  expect(assigned.slice(3)).toEqual(['y', 'y', 'y'])
  expect(assigned.slice(0, 3)).toEqual(['x', 'x', 'x'])
})
