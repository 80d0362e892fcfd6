import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { CONTROL_SCHEMA } from './control-schema.js'
import { Database } from './database.js'
import { GroupStore, type GroupView } from './group-store.js'
import { temporaryDirectory, topicSpec } from './testing/temporary-log.js'
import { TopicRegistry } from './topic-registry.js'

const SESSION_MS = 1000

/** A group store whose clock stands still until it is told otherwise. */
async function openGroups(partitions: number): Promise<{ groups: GroupStore; clock: { nowMs: number } }> {
  const db = new Database(join(temporaryDirectory(), 'log.db'), CONTROL_SCHEMA, { synchronous: 'normal' })
  onTestFinished(() => db.close())
  await new TopicRegistry(db).ensure([topicSpec({ partitions })])
  const clock = { nowMs: 0 }
  return { groups: new GroupStore(db, () => clock.nowMs), clock }
}

const owned = (view: GroupView) => view.owned.map(({ partition }) => partition)
const leaving = (view: GroupView) => view.owned.filter((one) => one.leaving).map(({ partition }) => partition)

test('a partition moves to a newcomer only when its owner has released it', async () => {
  const { groups } = await openGroups(2)
  const first = groups.join('group', ['topic'], SESSION_MS)
  expect(owned(first)).toEqual([0, 1])
  const second = groups.join('group', ['topic'], SESSION_MS)
  expect(owned(second)).toEqual([])
  const asked = groups.heartbeat(first)
  expect(owned(asked)).toEqual([0, 1])
  expect(leaving(asked)).toHaveLength(1)
  groups.release(
    first,
    asked.owned.find((one) => one.leaving)!,
  )
  expect(owned(groups.heartbeat(second))).toEqual(leaving(asked))
})

test('an owner that does not release it in its session timeout loses it, heartbeats or not', async () => {
  const { groups, clock } = await openGroups(2)
  const first = groups.join('group', ['topic'], SESSION_MS)
  const second = groups.join('group', ['topic'], SESSION_MS)
  for (clock.nowMs = 0; clock.nowMs < SESSION_MS; clock.nowMs += 100) {
    expect(owned(groups.heartbeat(first))).toEqual([0, 1])
    expect(owned(groups.heartbeat(second))).toEqual([])
  }
  expect(owned(groups.heartbeat(first))).toHaveLength(1)
  expect(owned(groups.heartbeat(second))).toHaveLength(1)
})

test('a member silent for longer than its session timeout is given up, and learns it', async () => {
  const { groups, clock } = await openGroups(2)
  const silent = groups.join('group', ['topic'], SESSION_MS)
  clock.nowMs = SESSION_MS + 1
  const second = groups.join('group', ['topic'], SESSION_MS)
  expect(owned(second)).toEqual([0, 1])
  expect(groups.heartbeat(silent)).toMatchObject({ isMember: false, owned: [] })
})

test('a member that is alone is never given up: there is nobody to take over', async () => {
  const { groups, clock } = await openGroups(1)
  const alone = groups.join('group', ['topic'], SESSION_MS)
  clock.nowMs = 100 * SESSION_MS
  expect(owned(groups.heartbeat(alone))).toEqual([0])
})

test('who lost a partition cannot commit it, whatever it believes itself', async () => {
  const { groups, clock } = await openGroups(1)
  const silent = groups.join('group', ['topic'], SESSION_MS)
  const [before] = silent.owned
  expect(groups.commit(silent, before!, 3)).toBe(true)
  clock.nowMs = SESSION_MS + 1
  const second = groups.join('group', ['topic'], SESSION_MS)
  expect(groups.commit(silent, before!, 9)).toBe(false)
  expect(groups.commit(second, second.owned[0]!, 5)).toBe(true)
  expect(groups.committed('group', 'topic').get(0)).toBe(5)
})

test('a member that lost a partition and got it back cannot commit what it had in hand before', async () => {
  const { groups } = await openGroups(1)
  const first = groups.join('group', ['topic'], SESSION_MS)
  const [before] = first.owned
  groups.release(first, before!)
  const [after] = groups.heartbeat(first).owned
  expect(groups.commit(first, before!, 9)).toBe(false)
  expect(groups.commit(first, after!, 1)).toBe(true)
})

test('looking again changes nothing, so that members do not wake each other for ever', async () => {
  const { groups, clock } = await openGroups(5)
  const members = [1, 2, 3].map(() => groups.join('group', ['topic'], SESSION_MS))
  for (let round = 0; round < 20; round++) {
    for (const member of members) {
      for (const one of groups.heartbeat(member).owned.filter((partition) => partition.leaving)) {
        groups.release(member, one)
      }
    }
  }
  clock.nowMs += 100
  for (const member of members) expect(groups.heartbeat(member).changed).toBe(false)
  expect(members.flatMap((member) => owned(groups.heartbeat(member))).toSorted((a, b) => a - b)).toEqual([
    0, 1, 2, 3, 4,
  ])
})

test('what members of one group do leaves the other groups alone', async () => {
  const { groups } = await openGroups(2)
  const one = groups.join('one', ['topic'], SESSION_MS)
  const other = groups.join('other', ['topic'], SESSION_MS)
  groups.commit(one, one.owned[0]!, 7)
  groups.leave(one)
  expect(owned(groups.heartbeat(other))).toEqual([0, 1])
  expect(groups.committed('other', 'topic').size).toBe(0)
})
