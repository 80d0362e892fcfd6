import type { PartitionOffset, PartitionRange } from '@plateau/event-log'
import type { KafkaConnection } from './connection.js'
import { EARLIEST, LATEST, type KafkaCluster } from './kafkajs/kafka-cluster.js'
import { errorOfCode } from './kafkajs/protocol-errors.js'
import type { Node } from './kafkajs/requests.js'

const LEADER_NOT_AVAILABLE = 5
/** A commit from outside the group, which has no generation. Refused while the group has members. */
const NO_MEMBER = { memberId: '', groupGenerationId: -1 }

export async function topicRanges(connection: KafkaConnection, topic: string): Promise<PartitionRange[]> {
  return connection.persist({ doing: 'read the offsets of', topic, needs: 'Describe' }, async () => {
    const { cluster } = connection
    const byLeader = await partitionsByLeader(cluster, topic)
    const ranges = await Promise.all(
      byLeader.map(async ({ leader, partitions }) => {
        const earliest = await cluster.offsetsAt(leader, topic, partitions, EARLIEST)
        const latest = await cluster.offsetsAt(leader, topic, partitions, LATEST)
        return partitions.map((partition) => ({
          partition,
          earliest: earliest.get(partition) ?? 0,
          next: latest.get(partition) ?? 0,
        }))
      }),
    )
    return ranges.flat().toSorted((a, b) => a.partition - b.partition)
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
    const args = { groupId: group, ...NO_MEMBER, topics: [{ topic, partitions }] }
    await connection.cluster.ask(coordinator, 'OffsetCommit', args)
  })
}

async function partitionsByLeader(
  cluster: KafkaCluster,
  topic: string,
): Promise<{ readonly leader: Node; readonly partitions: number[] }[]> {
  const partitions = (await cluster.leaders(topic)).map(({ partition, leader }) => {
    if (leader === undefined) throw errorOfCode(LEADER_NOT_AVAILABLE)
    return { partition, leader }
  })
  return [...Map.groupBy(partitions, ({ leader }) => leader.nodeId).values()].map((ofLeader) => ({
    leader: ofLeader[0]!.leader,
    partitions: ofLeader.map(({ partition }) => partition),
  }))
}
