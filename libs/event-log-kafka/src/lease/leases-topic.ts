import type { TopicSpec } from '@plateau/contracts'

/** One record for each time that a lease was taken; the newest of a name is its holder. */
export interface LeaseRecord {
  readonly epoch: number
  /** For people: which process it was. */
  readonly holder: string
  /** ISO 8601. */
  readonly takenAt: string
}

const leaseCodec = {
  encode: (record: LeaseRecord) => ({ finish: () => Buffer.from(JSON.stringify(record)) }),
  decode: (bytes: Uint8Array): LeaseRecord => {
    const { epoch, holder, takenAt } = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>
    return { epoch: Number(epoch), holder: String(holder), takenAt: String(takenAt) }
  },
}

/**
 * The adapter's own topic. Every lease has a consumer group over it, and one partition, so that of a group's members
 * just one can own it.
 */
export const leasesTopic: TopicSpec<LeaseRecord> = {
  name: 'internal.plateau.leases.v1',
  partitions: 1,
  replication: 3,
  minInSyncReplicas: 2,
  cleanup: 'compact',
  retentionMs: -1,
  retentionBytes: -1,
  maxRecordBytes: 16 * 1024,
  owner: 'event-log-kafka',
  key: 'lease name',
  messageType: 'json',
  schema: { file: 'none', messageIndex: 0 },
  codec: leaseCodec,
}
