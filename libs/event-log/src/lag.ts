import type { EventLog } from './event-log.js'

export interface PartitionLag {
  readonly partition: number
  /** Records between the group's committed offset and the end; for a group that never committed, all that is held. */
  readonly records: number
  /** Records that expired before the group had read them: they are gone. */
  readonly expired: number
  /** The first offset still held. */
  readonly earliest: number
  /** One more than the offset of the newest record. */
  readonly next: number
}

/** How far a group is behind, partition by partition, from the offsets in the log: true also while the group is down. */
export async function readLag(
  log: Pick<EventLog, 'offsets' | 'committed'>,
  group: string,
  topic: string,
): Promise<PartitionLag[]> {
  // Committed first: a commit in between would otherwise make the lag negative.
  const committed = new Map((await log.committed(group, topic)).map(({ partition, offset }) => [partition, offset]))
  return (await log.offsets(topic)).map(({ partition, earliest, next }) => {
    const offset = committed.get(partition) ?? -1
    const from = Math.max(offset, earliest)
    const expired = offset < 0 ? 0 : Math.max(0, earliest - offset)
    return { partition, records: Math.max(0, next - from), expired, earliest, next }
  })
}
