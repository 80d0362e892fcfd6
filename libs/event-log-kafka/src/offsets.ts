import type { PartitionOffset, PartitionRange } from '@plateau/event-log'
import type { KafkaConnection } from './connection.js'
import { EARLIEST, LATEST } from './kafkajs/kafka-cluster.js'

/**
 * Offsets of those who keep their own would be forgotten a week after the last commit (`offsets.retention.minutes`), long
 * before the dead letters that a replay has passed. Only the versions up to 4 of the request can ask for more.
 */
const KEEP_MS = 30 * 24 * 3_600_000
const NEWEST_WITH_RETENTION = 4

/** A commit from outside the group, which has no generation. Refused while the group has members. */
const NO_MEMBER = { memberId: '', groupGenerationId: -1 }

export async function topicRanges(connection: KafkaConnection, topic: string): Promise<PartitionRange[]> {
  return connection.persist({ doing: 'read the offsets of', topic, needs: 'Describe' }, async () => {
    const earliest = await connection.cluster.offsetsOf(topic, EARLIEST)
    const latest = await connection.cluster.offsetsOf(topic, LATEST)
    const next = new Map(latest.map(({ partition, offset }) => [partition, offset]))
    return earliest.map(({ partition, offset }) => ({
      partition,
      earliest: offset,
      next: next.get(partition) ?? offset,
    }))
  })
}

export async function committedOffsets(
  connection: KafkaConnection,
  group: string,
  topic: string,
): Promise<PartitionOffset[]> {
  const { partitions: count } = await connection.topics.get(topic)
  const partitions = Array.from({ length: count }, (_, partition) => ({ partition }))
  return connection.persist({ doing: 'read the committed offsets of', topic, group, needs: 'Describe' }, async () => {
    const coordinator = await connection.cluster.coordinator(group, 'group')
    const args = { groupId: group, topics: [{ topic, partitions }] }
    const { responses } = await connection.cluster.ask(coordinator, 'OffsetFetch', args)
    return responses.flatMap((response) =>
      response.partitions
        .map(({ partition, offset }) => ({ partition, offset: Number(offset) }))
        .toSorted((a, b) => a.partition - b.partition),
    )
  })
}

export async function commitOffsets(
  connection: KafkaConnection,
  group: string,
  topic: string,
  offsets: readonly PartitionOffset[],
): Promise<void> {
  await connection.topics.get(topic)
  if (offsets.length === 0) return
  const partitions = offsets.map(({ partition, offset }) => ({ partition, offset: String(offset) }))
  await connection.persist({ doing: 'commit offsets of', topic, group, needs: 'Read' }, async () => {
    const coordinator = await connection.cluster.coordinator(group, 'group')
    const args = { groupId: group, ...NO_MEMBER, retentionTime: KEEP_MS, topics: [{ topic, partitions }] }
    await connection.cluster.ask(coordinator, 'OffsetCommit', args, { newestVersion: NEWEST_WITH_RETENTION })
  })
}
