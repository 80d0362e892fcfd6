import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EventLog } from '@plateau/event-log'
import { testBroker } from '@plateau/kafka-dev'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openLog } from './testing/open-log.js'
import { topicOf } from './testing/topic-of.js'

const DAY_MS = 24 * 3_600_000

describeWithKafka('offsets that were committed from outside a group', () => {
  let log: EventLog

  beforeAll(async () => {
    log = await openLog((await testBroker()).bootstrapServers.join(','))
  }, 120_000)
  afterAll(() => log?.close())

  test('are kept longer than the two weeks of dead letters, whatever the broker does with others', async () => {
    const topic = topicOf(`kept-${randomUUID()}`)
    const group = `keeper-${randomUUID()}`
    await log.ensureTopics([topic])
    await log.commit(group, topic.name, [{ partition: 0, offset: 0 }])
    // What the coordinator wrote down: ..., committed at, expires at (int64 each, at the end of version 1 of its record).
    const reader = log.reader({ topic: '__consumer_offsets', from: 'earliest' })
    const kept: number[] = []
    const reading = (async () => {
      for await (const { records } of reader) {
        for (const { key, value } of records) {
          if (!key.includes(group) || value === null) continue
          const written = Buffer.from(value)
          expect(written.readInt16BE(0)).toBe(1)
          const [committed, expires] = [
            written.readBigInt64BE(written.length - 16),
            written.readBigInt64BE(written.length - 8),
          ]
          kept.push(Number(expires - committed) / DAY_MS)
        }
      }
    })()
    for (let tries = 0; kept.length === 0 && tries < 200; tries++) await sleep(50)
    await reader.close()
    await reading
    expect(kept).toEqual([30])
  })
})
