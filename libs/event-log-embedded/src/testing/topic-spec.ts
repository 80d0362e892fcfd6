import type { TopicSpec } from '@plateau/contracts'

export function topicSpec(changes: Partial<TopicSpec> = {}): TopicSpec {
  return {
    name: 'topic',
    partitions: 1,
    replication: 1,
    minInSyncReplicas: 1,
    cleanup: 'delete',
    retentionMs: -1,
    retentionBytes: -1,
    maxRecordBytes: 1024 * 1024,
    owner: 'test',
    key: 'anything',
    messageType: 'none',
    schema: { file: 'none.proto', messageIndex: 0 },
    codec: { encode: () => ({ finish: () => new Uint8Array() }), decode: (bytes) => bytes },
    ...changes,
  }
}
