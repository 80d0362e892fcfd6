import type { TopicSpec } from '@plateau/contracts'

/** A topic that carries bytes, with one copy and no limits unless told otherwise. */
export function topicOf(name: string, changes: Partial<TopicSpec> = {}): TopicSpec {
  return {
    name,
    partitions: 1,
    replication: 1,
    minInSyncReplicas: 1,
    cleanup: 'delete',
    retentionMs: -1,
    retentionBytes: -1,
    maxRecordBytes: 1024 * 1024,
    owner: 'tests',
    key: 'anything',
    messageType: 'none',
    schema: { file: 'none.proto', messageIndex: 0 },
    codec: {
      encode: () => {
        throw new TypeError('these tests append bytes')
      },
      decode: (bytes: Uint8Array) => bytes,
    },
    ...changes,
  }
}
