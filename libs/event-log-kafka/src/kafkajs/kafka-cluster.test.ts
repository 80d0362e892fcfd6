import { expect, test } from 'vitest'
import { kafkaConfig } from '../kafka-config.js'
import { settingsOf } from '../options.js'
import { EARLIEST, KafkaCluster } from './kafka-cluster.js'
import type { MetadataAnswer } from './requests.js'

const NOBODY = -1
const config = kafkaConfig(settingsOf({ bootstrapServers: ['127.0.0.1:1'] }))

/** Two nodes, of which one leads some of the partitions; each of them starts at ten times its number. */
class HalfLedCluster extends KafkaCluster {
  controllerId = NOBODY
  readonly #leaders: readonly number[]

  constructor(leaders: readonly number[]) {
    super(config)
    this.#leaders = leaders
  }

  override async metadata(topics: readonly string[]): Promise<MetadataAnswer> {
    const partitionMetadata = this.#leaders.map((leader, partitionId) => {
      return { partitionErrorCode: 0, partitionId, leader, replicas: [1] }
    })
    return {
      brokers: [1, 2].map((nodeId) => ({ nodeId, host: '127.0.0.1', port: nodeId })),
      controllerId: this.controllerId,
      topicMetadata: topics.map((topic) => ({ topic, topicErrorCode: 0, partitionMetadata })),
    }
  }

  override async offsetsAt(_: object, __: string, partitions: readonly number[]): Promise<Map<number, number>> {
    return new Map(partitions.map((partition) => [partition, partition * 10]))
  }
}

test('where a partition begins can be asked while another one has no leader', async () => {
  const cluster = new HalfLedCluster([NOBODY, 1])
  await expect(cluster.offsetOf({ topic: 't', partition: 1 }, EARLIEST)).resolves.toBe(10)
  await expect(cluster.offsetOf({ topic: 't', partition: 0 }, EARLIEST)).rejects.toMatchObject({
    type: 'LEADER_NOT_AVAILABLE',
  })
  await expect(cluster.offsetsOf('t', EARLIEST)).rejects.toMatchObject({ type: 'LEADER_NOT_AVAILABLE' })
})

test('whoever controls the cluster is found; while nobody does, it is worth another try', async () => {
  const cluster = new HalfLedCluster([1])
  await expect(cluster.controller()).rejects.toMatchObject({ type: 'NOT_CONTROLLER', retriable: true })
  cluster.controllerId = 2
  await expect(cluster.controller()).resolves.toMatchObject({ nodeId: 2 })
})
