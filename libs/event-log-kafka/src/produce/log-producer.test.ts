import { expect, test } from 'vitest'
import { unconnected } from '../connection.js'
import { settingsOf } from '../options.js'
import { topicOf } from '../testing/topic-of.js'
import type { PartitionBatch } from './batch-sender.js'
import { LogProducer } from './log-producer.js'
import { PartitionLanes } from './partition-lanes.js'
import { encodeBatch } from './record-batch.js'

test('a time with a fraction of a millisecond spoils nobody’s batch', async () => {
  const { topics, wire } = unconnected(settingsOf({ bootstrapServers: ['127.0.0.1:1'] }))
  topics.learn(topicOf('t'), {
    partitions: 1,
    replication: 1,
    config: new Map([['max.message.bytes', { value: '1000000', isOverride: true }]]),
  })
  const times: number[] = []
  const sender = {
    async send({ records }: PartitionBatch) {
      await encodeBatch(records, { compression: 'none' })
      times.push(...records.map(({ timestampMs }) => timestampMs))
      return 0
    },
  }
  const lanes = new PartitionLanes(sender, { lingerMs: 0 })
  const producer = new LogProducer({ topics, lanes, wire, nowMs: () => 1000, options: {} })
  const record = { key: 'k', value: Buffer.from('v'), headers: {} }
  await Promise.all([producer.send('t', [{ ...record, timestampMs: 1000.5 }]), producer.send('t', [record])])
  expect(times).toEqual([1000, 1000])
})
