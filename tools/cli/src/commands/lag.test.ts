import { groups, topics } from '@plateau/contracts'
import { expect, test } from 'vitest'
import { plateau } from '../testing/run-command.js'
import { temporaryLog } from '../testing/temporary-log.js'
import { tokenRecord } from '../testing/windows.js'

const topic = topics.tokenDistributions.name

test('lag is what lies between the committed offset and the end, partition by partition', async () => {
  const { log, url } = await temporaryLog()
  const sent = await log.producer().send(topic, [tokenRecord('a'), tokenRecord('a'), tokenRecord('a')])
  const { partition } = sent[0]!
  await log.commit(groups.scorer, topic, [{ partition, offset: 1 }])

  const { code, json } = await plateau(['lag', '--group', groups.scorer, '--json', '--event-log', url])
  expect(code).toBe(0)
  const rows = json<{ partition: number }[]>()
  expect(rows).toHaveLength(topics.tokenDistributions.partitions)
  expect(rows.find((row) => row.partition === partition)).toEqual({
    group: groups.scorer,
    topic,
    partition,
    committed: 1,
    end: 3,
    lag: 2,
    expired: 0,
  })
})

test('by default every group of ours is shown; one that never committed has all that is held before it', async () => {
  const { log, url } = await temporaryLog()
  await log.producer().send(topic, [tokenRecord('a')])
  const { out } = await plateau(['lag', '--event-log', url])
  expect(out).toMatch(new RegExp(`^${groups.scorer} .* - +1 +1 +0$`, 'm'))
  expect(out).toContain(groups.trainer)
})

test('watching repeats until it is interrupted, and then ends well', async () => {
  const { url } = await temporaryLog()
  const interruption = new AbortController()
  let reports = 0
  const watching = plateau(['lag', '--watch', '--every', '1', '--json', '--event-log', url], {
    signal: interruption.signal,
    onOut: () => {
      reports++
      if (reports === 2) interruption.abort()
    },
  })
  expect(await watching).toMatchObject({ code: 0 })
  expect(reports).toBe(2)
})

test("another team's group needs its topic", async () => {
  const { url } = await temporaryLog()
  const wrong = await plateau(['lag', '--group', 'theirs', '--event-log', url])
  expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('add --topic') })
  const right = await plateau(['lag', '--group', 'theirs', '--topic', topic, '--event-log', url])
  expect(right).toMatchObject({ code: 0, out: expect.stringContaining('theirs') })
})
