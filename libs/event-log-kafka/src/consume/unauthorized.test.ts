import { readFileSync } from 'node:fs'
import type { EventLog } from '@plateau/event-log'
import { addAcl, type KafkaBroker, testSecureBroker } from '@plateau/kafka-dev'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKafkaEventLog } from '../open-kafka-event-log.js'
import { topicOf } from '../testing/topic-of.js'

describeWithKafka('without the right to read', () => {
  const run = `${process.pid}.${Date.now()}`
  const names = { readable: `readable.${run}`, hidden: `hidden.${run}`, group: `allowed.${run}` }
  let guest: EventLog

  beforeAll(async () => {
    const broker = await testSecureBroker()
    const admin = await openAs(broker, 0)
    await admin.ensureTopics([topicOf(names.readable), topicOf(names.hidden)])
    await admin.producer().send(names.hidden, [{ key: 'key', value: Buffer.from('secret'), headers: {} }])
    await admin.close()
    const user = 'guest'
    await addAcl(broker, { user, operations: ['Read', 'Describe'], topic: names.readable })
    await addAcl(broker, { user, operations: ['Describe', 'DescribeConfigs'], topic: names.hidden })
    await addAcl(broker, { user, operations: ['Read'], group: names.group })
    guest = await openAs(broker, 2)
  }, 180_000)

  afterAll(async () => {
    await guest?.close()
  })

  test('of the group, a consumer ends at once and says which one', async () => {
    const consumer = guest.consumer({ group: `forbidden.${run}`, topics: [names.readable] })
    await expect(consumer.run(async () => {})).rejects.toMatchObject({
      code: 'LOG_UNAUTHORIZED',
      facts: { group: `forbidden.${run}` },
    })
  })

  test('of the topic, a consumer ends at once and says which one', async () => {
    const consumer = guest.consumer({ group: names.group, topics: [names.hidden] })
    await expect(consumer.run(async () => {})).rejects.toMatchObject({
      code: 'LOG_UNAUTHORIZED',
      facts: { topic: names.hidden },
    })
  })

  test('of the topic, a reader ends at once and says which one', async () => {
    const reader = guest.reader({ topic: names.hidden, from: 'earliest' })
    const refusal = { code: 'LOG_UNAUTHORIZED', facts: { topic: names.hidden } }
    await expect(reader[Symbol.asyncIterator]().next()).rejects.toMatchObject(refusal)
    await expect(reader.caughtUp).rejects.toMatchObject(refusal)
  })

  test('of the transactional id, a lease cannot be had, and says as whom', async () => {
    await expect(guest.lease({ name: run, topics: [names.readable] })).rejects.toMatchObject({
      code: 'LOG_UNAUTHORIZED',
    })
  })
})

async function openAs(broker: KafkaBroker, index: number): Promise<EventLog> {
  const { security, bootstrapServers } = broker
  if (security.kind !== 'sasl_ssl') throw new TypeError('a broker with users is needed')
  const { name, password } = security.users[index]!
  return openKafkaEventLog({
    bootstrapServers,
    replication: 1,
    tls: { ca: readFileSync(security.caFile, 'utf8') },
    sasl: { mechanism: 'scram-sha-512', username: name, password },
  })
}
