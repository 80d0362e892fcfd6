import { expect, test } from 'vitest'
import { unconnected } from '../connection.js'
import { KafkaCluster, type PartitionLeader } from '../kafkajs/kafka-cluster.js'
import { NodeConnection } from '../kafkajs/node-connection.js'
import type { Requests } from '../kafkajs/requests.js'
import { settingsOf } from '../options.js'
import { IdempotentSender } from './idempotent-sender.js'

const OUT_OF_ORDER_SEQUENCE_NUMBER = 45
const node = { nodeId: 1, host: '127.0.0.1', port: 1 }
const timing = { retryMs: 1, maxRetryMs: 10, deliveryTimeoutMs: 100 }
const connection = unconnected(settingsOf({ bootstrapServers: ['127.0.0.1:1'], timing }))

/** Answers every batch with the same error. */
class RefusingNode extends NodeConnection {
  readonly #errorCode: number

  constructor(errorCode: number) {
    super(node.host, node.port, () => Promise.reject(new TypeError('nobody connects')))
    this.#errorCode = errorCode
  }

  override async send<N extends keyof Requests>(): Promise<Requests[N]['answer']> {
    const partitions = [{ partition: 0, errorCode: this.#errorCode, baseOffset: '-1' }]
    return { topics: [{ topicName: 't', partitions }] } as Requests['Produce']['answer'] as Requests[N]['answer']
  }
}

/** Has one topic, of one partition. */
class RefusingCluster extends KafkaCluster {
  writers = 0

  constructor() {
    super(connection.config)
  }

  override async leaders(): Promise<PartitionLeader[]> {
    return [{ partition: 0, leader: node }]
  }

  override async askAny<N extends keyof Requests>(): Promise<Requests[N]['answer']> {
    const identity = { producerId: String(++this.writers), producerEpoch: 0 }
    return identity as Requests['InitProducerId']['answer'] as Requests[N]['answer']
  }

  override open(): NodeConnection {
    return new RefusingNode(OUT_OF_ORDER_SEQUENCE_NUMBER)
  }
}

function batchFor(partition: number) {
  const record = { key: Buffer.from('k'), value: Buffer.from('v'), headers: {}, timestampMs: 0 }
  return { topic: 't', partition, records: [record] }
}

test('a broker that takes no writer at all is not asked for ever', async () => {
  const cluster = new RefusingCluster()
  const sender = new IdempotentSender(connection, cluster)
  await expect(sender.send(batchFor(0))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE', retryable: true })
  expect(cluster.writers).toBeGreaterThan(1)
  sender.close()
})

test('a partition that the topic no longer has is no matter of patience', async () => {
  const sender = new IdempotentSender(connection, new RefusingCluster())
  await expect(sender.send(batchFor(3))).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC', facts: { partition: 3 } })
  sender.close()
})
