import type { EventLog } from '@plateau/event-log'
import { testBroker } from '@plateau/kafka-dev'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import kafkajs, { type Producer } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openLog } from '../testing/open-log.js'
import { topicOf } from '../testing/topic-of.js'
import { until } from '../testing/until.js'

describeWithKafka('a topic that is written in transactions', () => {
  let log: EventLog
  let other: Producer
  let topic: string
  let run = 0

  beforeAll(async () => {
    const { bootstrapServers } = await testBroker()
    log = await openLog(bootstrapServers.join())
    const kafka = new kafkajs.Kafka({ brokers: [...bootstrapServers], logLevel: kafkajs.logLevel.NOTHING })
    other = kafka.producer({
      transactionalId: `transactions-${process.pid}`,
      idempotent: true,
      maxInFlightRequests: 1,
      retry: { initialRetryTime: 10, multiplier: 1.5, retries: 25 },
    })
    await other.connect()
  }, 120_000)

  afterAll(async () => {
    await other?.disconnect()
    await log?.close()
  })

  const newTopic = async () => {
    topic = `transactions.${process.pid}.${Date.now()}.${run++}`
    await log.ensureTopics([topicOf(topic)])
  }

  const endOf = async () => (await log.offsets(topic))[0]!.next

  /** Brokers answer before the mark at a transaction's end is written. */
  const transact = async (values: readonly string[], isKept: boolean) => {
    const before = await endOf()
    const transaction = await other.transaction()
    await transaction.send({ topic, messages: values.map((value) => ({ key: 'key', value })) })
    await (isKept ? transaction.commit() : transaction.abort())
    await until('its mark written', async () => (await endOf()) === before + values.length + 1)
  }

  const readAll = async (): Promise<string[]> => {
    const values: string[] = []
    const reader = log.reader({ topic, from: 'earliest', maxBatchRecords: 2 })
    const reading = (async () => {
      for await (const { records } of reader) values.push(...records.map(({ value }) => String(value)))
    })()
    await reader.caughtUp
    await reader.close()
    await reading
    return values
  }

  test('what was given up is never handed over, what was kept is', async () => {
    await newTopic()
    await transact(['given up 1', 'given up 2', 'given up 3'], false)
    await transact(['kept 1', 'kept 2', 'kept 3'], true)
    await transact(['given up 4'], false)
    await log.producer().send(topic, [{ key: 'key', value: Buffer.from('plain'), headers: {} }])
    await transact(['kept 4'], true)
    expect(await readAll()).toEqual(['kept 1', 'kept 2', 'kept 3', 'plain', 'kept 4'])
  })

  test('a reader is caught up though the last offsets are marks, or records that were given up', async () => {
    await newTopic()
    await transact(['only'], true)
    expect(await readAll()).toEqual(['only'])
    await transact(['given up'], false)
    expect(await readAll()).toEqual(['only'])
  })

  test('a topic of which everything was given up is caught up with at once', async () => {
    await newTopic()
    await transact(['given up'], false)
    expect(await readAll()).toEqual([])
  })

  test('a transaction that is still open is waited for, and nothing behind it is handed over', async () => {
    await newTopic()
    const transaction = await other.transaction()
    await transaction.send({ topic, messages: [{ key: 'key', value: 'open' }] })
    await log.producer().send(topic, [{ key: 'key', value: Buffer.from('behind'), headers: {} }])
    expect(await readAll()).toEqual([])
    await transaction.commit()
    await until('both are there', async () => (await readAll()).length === 2)
    expect(await readAll()).toEqual(['open', 'behind'])
  })

  test('a group that has committed everything it was handed has no lag', async () => {
    await newTopic()
    const group = `${topic}.group`
    await transact(['1', '2', '3'], true)
    await transact(['given up'], false)
    let handed = 0
    const consumer = log.consumer({ group, topics: [topic] })
    const running = consumer.run(async ({ records }, control) => {
      handed += records.length
      await control.commit((records.at(-1)?.offset ?? 0) + 1)
    })
    await until('all handed over', () => handed === 3)
    await until('committed', async () => (await log.committed(group, topic))[0]!.offset >= 3)
    expect((await log.committed(group, topic))[0]!.offset).toBe(await endOf())
    await consumer.close()
    await running
  })
})
