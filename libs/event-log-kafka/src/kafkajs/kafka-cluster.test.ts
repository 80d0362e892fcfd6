import { expect, test } from 'vitest'
import { kafkaConfig } from '../kafka-config.js'
import { settingsOf } from '../options.js'
import { EARLIEST, KafkaCluster } from './kafka-cluster.js'
import type { MetadataAnswer } from './requests.js'

const NOBODY = -1
const config = kafkaConfig(settingsOf({ bootstrapServers: ['127.0.0.1:1'] }))

/** One node, which leads only some partitions; each of them starts at ten times its number. */
class HalfLedCluster extends KafkaCluster {
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
      brokers: [{ nodeId: 1, host: '127.0.0.1', port: 1 }],
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
