import { randomBytes } from 'node:crypto'
import { type KafkaBroker, runKafkaTool, testBroker } from '@plateau/kafka-dev'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import { compress as snappy } from 'snappyjs'
import { beforeAll, expect, test } from 'vitest'
import { openKafkaEventLog } from '../open-kafka-event-log.js'
import type { Compression } from '../options.js'
import { topicOf } from '../testing/topic-of.js'
import { decompressSnappy } from './snappy.js'

const START_MS = 180_000
const JAVA_MS = 120_000
const QUICK_JAVA = { jvmOptions: ['-XX:TieredStopAtLevel=1'] }
const MIB = 1024 * 1024

describeWithKafka('compressed batches', () => {
  let broker: KafkaBroker

  const open = (compression: Compression) =>
    openKafkaEventLog({ bootstrapServers: broker.bootstrapServers, replication: 1, compression })

  beforeAll(async () => {
    broker = await testBroker()
  }, START_MS)

  test.for(['none', 'gzip', 'lz4', 'zstd'] as const)('of %s come back as they were sent', async (compression) => {
    const log = await open(compression)
    const topic = `codecs.${process.pid}.${compression}`
    await log.ensureTopics([topicOf(topic)])
    const values = [Buffer.from('short'), Buffer.alloc(500_000, 'repeats '), randomBytes(300_000), Buffer.alloc(0)]
    await log.producer().send(
      topic,
      values.map((value) => ({ key: 'key', value, headers: { ce_id: '1' } })),
    )
    const read: Buffer[] = []
    for await (const { records } of log.reader({ topic, from: 'earliest' })) {
      read.push(...records.map(({ value }) => Buffer.from(value!)))
      if (read.length === values.length) break
    }
    expect(read.map((value, i) => value.equals(values[i]!))).toEqual([true, true, true, true])
    await log.close()
  })

  test(
    "are read by Kafka's own client, in any codec",
    async () => {
      const topic = `codecs.${process.pid}.for-java`
      for (const compression of ['none', 'gzip', 'lz4', 'zstd'] as const) {
        const log = await open(compression)
        await log.ensureTopics([topicOf(topic)])
        const records = Array.from({ length: 50 }, (_, i) => ({
          key: `${i}`,
          value: Buffer.from(`${compression} ${i} `.repeat(40)),
          headers: {},
        }))
        await log.producer().send(topic, records)
        await log.close()
      }
      const output = await runKafkaTool(
        'org.apache.kafka.tools.consumer.ConsoleConsumer',
        ['--bootstrap-server', broker.bootstrap, '--topic', topic, '--from-beginning', '--max-messages', '200'],
        QUICK_JAVA,
      )
      const lines = output.trim().split('\n')
      expect(lines.filter((line) => line === 'lz4 49 '.repeat(40))).toHaveLength(1)
      expect(lines.filter((line) => /^(none|gzip|lz4|zstd) \d+ /.test(line))).toHaveLength(200)
    },
    JAVA_MS,
  )

  test(
    "from Kafka's own client are read, in any codec",
    async () => {
      const topic = `codecs.${process.pid}.from-java`
      const log = await open('none')
      await log.ensureTopics([topicOf(topic)])
      const codecs = ['gzip', 'snappy', 'lz4', 'zstd']
      for (const codec of codecs) {
        const props = [`bootstrap.servers=${broker.bootstrap}`, `compression.type=${codec}`, 'linger.ms=50']
        await runKafkaTool(
          'org.apache.kafka.tools.ProducerPerformance',
          [
            '--topic',
            topic,
            '--num-records',
            '100',
            '--record-size',
            '700',
            '--throughput',
            '-1',
            '--producer-props',
            ...props,
          ],
          QUICK_JAVA,
        )
      }
      let count = 0
      for await (const { records } of log.reader({ topic, from: 'earliest' })) {
        expect(records.every(({ value }) => value?.length === 700)).toBe(true)
        count += records.length
        if (count === 100 * codecs.length) break
      }
      await log.close()
    },
    JAVA_MS,
  )
})

test('snappy is read bare, as librdkafka writes it, and never inflates beyond what was asked', () => {
  const bytes = Buffer.from('again and '.repeat(1000))
  const packed = snappy(bytes)
  expect(decompressSnappy(packed, MIB).equals(bytes)).toBe(true)
  expect(() => decompressSnappy(packed, 100)).toThrow(/too big|exceed|length/i)
})
