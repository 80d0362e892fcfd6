import type { TopicSpec } from '@plateau/contracts'
import type { TopicDifference } from '@plateau/event-log'

/** What the log itself needs of a topic's declaration. */
export type StoredTopic = Pick<
  TopicSpec,
  'name' | 'partitions' | 'cleanup' | 'retentionMs' | 'retentionBytes' | 'maxRecordBytes'
>

/** Other partitions would part the records of a key, another cleanup would lose them: no setting to change under way. */
export function topicDifferences(spec: StoredTopic, found: StoredTopic | undefined): TopicDifference[] {
  const topic = spec.name
  if (found === undefined) {
    return [{ topic, setting: 'topic', declared: `partitions: ${spec.partitions}`, actual: undefined, kind: 'missing' }]
  }
  const compare = (
    kind: TopicDifference['kind'],
    setting: string,
    declared: string | number,
    actual: string | number,
  ): TopicDifference[] =>
    declared === actual ? [] : [{ topic, setting, declared: String(declared), actual: String(actual), kind }]
  return [
    ...compare('incompatible', 'partitions', spec.partitions, found.partitions),
    ...compare('incompatible', 'cleanup.policy', spec.cleanup, found.cleanup),
    ...compare('tunable', 'retention.ms', spec.retentionMs, found.retentionMs),
    ...compare('tunable', 'retention.bytes', spec.retentionBytes, found.retentionBytes),
    ...compare('tunable', 'max.record.bytes', spec.maxRecordBytes, found.maxRecordBytes),
  ]
}
