import type { EventLog, Lease } from '@plateau/event-log'
import { type KafkaBroker, startBroker } from '@plateau/kafka-dev'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKafkaEventLog } from '../open-kafka-event-log.js'
import { topicOf } from '../testing/topic-of.js'
import { until } from '../testing/until.js'

const START_MS = 180_000
const TEST_MS = 180_000

describeWithKafka('the holder of a lease', () => {
  let broker: KafkaBroker
  let log: EventLog

  beforeAll(async () => {
    broker = await startBroker()
    log = await openKafkaEventLog({ bootstrapServers: broker.bootstrapServers, replication: 1 })
  }, START_MS)

  afterAll(async () => {
    await log?.close()
    await broker?.destroy()
  }, START_MS)

  test(
    'keeps it while its broker crashes and comes back: each record that was acknowledged is there, and only once',
    async () => {
      const topic = 'crash'
      await log.ensureTopics([topicOf(topic, { partitions: 2 })])
      const lease = await log.lease({ name: 'crash', topics: [topic], sessionTimeoutMs: 30_000 })
      let acknowledged = 0
      let isStopped = false
      const sending = (async () => {
        while (!isStopped) acknowledged += (await sendOne(lease, topic, acknowledged)).length
      })()
      for (let crash = 0; crash < 2; crash++) {
        const before = acknowledged
        await until('flowing', () => acknowledged > before + 50)
        await broker.kill9()
        await broker.start()
      }
      const before = acknowledged
      await until('flowing again', () => acknowledged > before + 50)
      isStopped = true
      await sending
      expect(lease.lost.aborted).toBe(false)
      const values = await readAll(log, topic)
      expect(values.toSorted((a, b) => a - b)).toEqual(Array.from({ length: acknowledged }, (_, i) => i))
      await lease.release()
    },
    TEST_MS,
  )

  test(
    'that lets go in the middle of its sends leaves nothing half written: the next one goes on right behind',
    async () => {
      const topic = 'steady'
      await log.ensureTopics([topicOf(topic)])
      const first = await log.lease({ name: 'steady', topics: [topic], sessionTimeoutMs: 2000 })
      const other = await openKafkaEventLog({ bootstrapServers: broker.bootstrapServers, replication: 1 })
      const waiting = other.lease({ name: 'steady', topics: [topic], sessionTimeoutMs: 2000 })
      let acknowledged = 0
      const refused: unknown[] = []
      const sending = (async () => {
        while (refused.length === 0) {
          await sendOne(first, topic, acknowledged).then(
            () => acknowledged++,
            (thrown: unknown) => refused.push(thrown),
          )
        }
      })()
      await until('flowing', () => acknowledged > 20)
      await first.release()
      await sending
      const second = await waiting
      expect(second.epoch).toBe(first.epoch + 1)
      const told = acknowledged
      await sendOne(second, topic, told)
      expect(await readAll(other, topic)).toEqual(Array.from({ length: told + 1 }, (_, i) => i))
      await other.close()
    },
    TEST_MS,
  )
})

function sendOne(lease: Lease, topic: string, number: number) {
  return lease.producer.send(topic, [{ key: String(number), value: Buffer.from(String(number)), headers: {} }])
}

async function readAll(log: EventLog, topic: string): Promise<number[]> {
  const values: number[] = []
  const reader = log.reader({ topic, from: 'earliest' })
  const reading = (async () => {
    for await (const { records } of reader) values.push(...records.map(({ value }) => Number(String(value))))
  })()
  await reader.caughtUp
  await reader.close()
  await reading
  return values
}
