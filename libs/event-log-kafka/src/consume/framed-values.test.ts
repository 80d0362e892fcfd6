import type { EventLog } from '@plateau/event-log'
import { testBroker } from '@plateau/kafka-dev'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import kafkajs from 'kafkajs'
import { expect, test } from 'vitest'
import { openLog } from '../testing/open-log.js'
import { topicOf } from '../testing/topic-of.js'

const FRAMED = Buffer.from([0, 0, 0, 0, 7, 0, 10, 1, 65])
const BARE = FRAMED.subarray(6)

describeWithKafka('values in the wire format of Confluent', () => {
  test('of a public topic are read without their frame, and null stays null; elsewhere they are left alone', async () => {
    const { bootstrapServers } = await testBroker()
    const log = await openLog(bootstrapServers.join())
    const run = `${process.pid}.${Date.now()}`
    const topics = { public: `public.framed.${run}`, other: `framed.${run}` }
    await log.ensureTopics([topicOf(topics.public), topicOf(topics.other)])
    const producer = new kafkajs.Kafka({ brokers: [...bootstrapServers], logLevel: kafkajs.logLevel.NOTHING }).producer(
      {
        createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      },
    )
    await producer.connect()
    const messages = [FRAMED, BARE, null].map((value) => ({ key: 'key', value }))
    for (const topic of [topics.public, topics.other]) await producer.send({ topic, messages })
    await producer.disconnect()
    expect(await readAll(log, topics.public)).toEqual([BARE, BARE, null])
    expect(await readAll(log, topics.other)).toEqual([FRAMED, BARE, null])
    await log.close()
  })
})

async function readAll(log: EventLog, topic: string): Promise<(Uint8Array | null)[]> {
  const values: (Uint8Array | null)[] = []
  for await (const { records } of log.reader({ topic, from: 'earliest' })) {
    values.push(...records.map(({ value }) => value))
    if (values.length >= 3) break
  }
  return values
}
