import type { TopicSpec } from '@plateau/contracts'

export function topicSpec(changes: Partial<TopicSpec> = {}): TopicSpec {
  return {
    name: 'topic',
    partitions: 1,
    cleanup: 'delete',
    retentionMs: -1,
    retentionBytes: -1,
    maxRecordBytes: 1024 * 1024,
    owner: 'test',
    key: 'anything',
    messageType: 'none',
    codec: { encode: () => ({ finish: () => new Uint8Array() }), decode: (bytes) => bytes },
    ...changes,
  }
}
