import { setTimeout as sleep } from 'node:timers/promises'
import { PlateauError } from '@plateau/contracts'
import { afterEach, expect, test, vi } from 'vitest'
import { unconnected } from '../connection.js'
import { settingsOf } from '../options.js'
import { GroupOfOne } from '../testing/group-of-one.js'
import { until } from '../testing/until.js'
import { keyOf } from './assign-sticky.js'
import { GroupMember } from './group-member.js'

const timing = { retryMs: 1, maxRetryMs: 10 }
const connection = unconnected(settingsOf({ bootstrapServers: ['127.0.0.1:1'], timing }))

afterEach(() => void vi.useRealTimers())

function memberOf(cluster: GroupOfOne, sessionTimeoutMs = 30_000) {
  const held: string[] = []
  const lost: string[] = []
  const member = new GroupMember({ group: 'g', topics: ['t'], sessionTimeoutMs }, cluster, connection, {
    onAssigned: (partition) => void held.push(keyOf(partition)),
    onRevoked: async () => {},
    onLost: (partition) => void lost.push(keyOf(partition)),
    onAlive: () => {},
  })
  return { member, held, lost }
}

test('a node that has just started and does not know the topic yet does not leave the group without partitions', async () => {
  const { member, held } = memberOf(new GroupOfOne([0, 0, 2]))
  const running = member.run()
  await until('assigned', () => held.length > 0)
  expect(held).toEqual(['t/0', 't/1'])
  await member.leave()
  await running
})

test('a topic that is gone ends the member, and is named', async () => {
  const { member } = memberOf(new GroupOfOne([0]))
  await expect(member.run()).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC', facts: { topic: 't' } })
})

test('a commit that the coordinator sits on does not hold up heartbeats', async () => {
  const sessionTimeoutMs = 300
  const answered = Promise.withResolvers<void>()
  const cluster = new GroupOfOne([1], async (name) => {
    if (name === 'OffsetCommit') await answered.promise
  })
  const { member, held, lost } = memberOf(cluster, sessionTimeoutMs)
  const running = member.run()
  await until('assigned', () => held.length > 0)
  const committed = member.commit({ topic: 't', partition: 0 }, 1, () => true)
  await sleep(3 * sessionTimeoutMs)
  expect(lost).toEqual([])
  answered.resolve()
  expect(await committed).toBe(true)
  await member.leave()
  await running
})

test('a coordinator that answers nothing does not keep a member from leaving', async () => {
  const isJoining = Promise.withResolvers<void>()
  const cluster = new GroupOfOne([1], async () => {
    isJoining.resolve()
    await new Promise(() => {})
  })
  const { member } = memberOf(cluster)
  const running = member.run()
  await isJoining.promise
  await member.leave()
  await expect(running).resolves.toBeUndefined()
})

test('a token that cannot be had for a moment is a matter of patience', async () => {
  let refusals = 8
  const cluster = new GroupOfOne([1], async (name) => {
    if (name !== 'Heartbeat' && refusals-- > 0) {
      throw new PlateauError('TOKEN_REFUSED', 'The token endpoint is away.', { retryable: true })
    }
  })
  const { member, held } = memberOf(cluster)
  const running = member.run()
  await until('assigned', () => held.length > 0)
  refusals = 8
  expect(await member.commit({ topic: 't', partition: 0 }, 1, () => true)).toBe(true)
  await member.leave()
  await expect(running).resolves.toBeUndefined()
})

test('an answer that comes late says that the coordinator knew the member when it was asked, not now', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] })
  const answers: (() => void)[] = []
  const cluster = new GroupOfOne([1], async (name) => {
    if (name === 'Heartbeat') await new Promise<void>((resolve) => answers.push(resolve))
  })
  const { member, held, lost } = memberOf(cluster, 6000)
  const running = member.run()
  await vi.advanceTimersByTimeAsync(4500)
  expect(held).toEqual(['t/0'])
  answers[0]!()
  await vi.advanceTimersByTimeAsync(3500)
  // 6000 ms have passed since the heartbeat that was answered was sent, not since its answer.
  expect(lost).toEqual(['t/0'])
  const left = member.leave()
  await vi.advanceTimersByTimeAsync(1000)
  await left
  await running
})
