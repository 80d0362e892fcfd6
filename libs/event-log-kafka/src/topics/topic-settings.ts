import type { TopicSpec } from '@plateau/contracts'
import type { TopicDifference } from '@plateau/event-log'
import type { KafkaSettings } from '../options.js'
import type { TopicConfig } from './topic-configs.js'

/** What a topic's max.message.bytes leaves around a record's key and value: headers, lengths, the batch's own fields. */
export const RECORD_ROOM_BYTES = 64 * 1024

const HOUR_MS = 3_600_000
const MIB = 1024 * 1024
/** Kafka's own limits of segment.bytes. */
const MIN_SEGMENT_BYTES = MIB
const MAX_SEGMENT_BYTES = 1024 * MIB
/** Retention drops whole closed segments: with this many, a topic holds at most a quarter more than it was given. */
const SEGMENTS_PER_RETENTION = 4

/** What the cluster has of a topic. */
export interface FoundTopic {
  readonly partitions: number
  readonly replication: number
  readonly config: TopicConfig
}

/** Copies, and how many of them must have a record, as this cluster can have them. */
export function copiesOf(
  spec: TopicSpec,
  { replication }: Pick<KafkaSettings, 'replication'>,
): { replication: number; minInSyncReplicas: number } {
  const copies = Math.min(spec.replication, replication ?? spec.replication)
  return { replication: copies, minInSyncReplicas: Math.min(spec.minInSyncReplicas, copies) }
}

/** The settings of a topic that does not exist yet. */
export function creationConfig(
  spec: TopicSpec,
  settings: Pick<KafkaSettings, 'replication' | 'topicConfig'>,
): Record<string, string> {
  return {
    'cleanup.policy': spec.cleanup,
    'retention.ms': String(spec.retentionMs),
    'retention.bytes': String(spec.retentionBytes),
    'max.message.bytes': String(spec.maxRecordBytes + RECORD_ROOM_BYTES),
    'min.insync.replicas': String(copiesOf(spec, settings).minInSyncReplicas),
    'message.timestamp.type': 'CreateTime',
    // As it was sent: whoever reads must be able to read what was chosen here, and nothing else.
    'compression.type': 'producer',
    'segment.bytes': String(segmentBytes(spec)),
    'segment.ms': String(segmentMs(spec)),
    ...(spec.cleanup === 'delete' ? {} : COMPACTION),
    ...settings.topicConfig,
  }
}

/**
 * Our compacted topics are small and read from the start by whoever comes up: cleaned early, yet not within a minute, so
 * that readers close to the end see every change.
 */
const COMPACTION = {
  'min.cleanable.dirty.ratio': '0.1',
  'min.compaction.lag.ms': '60000',
  'max.compaction.lag.ms': String(6 * HOUR_MS),
  'delete.retention.ms': String(24 * HOUR_MS),
}

function segmentBytes({ retentionBytes, maxRecordBytes }: TopicSpec): number {
  if (retentionBytes < 0) return MAX_SEGMENT_BYTES
  const part = Math.floor(retentionBytes / SEGMENTS_PER_RETENTION)
  return Math.min(Math.max(part, MIN_SEGMENT_BYTES, maxRecordBytes + RECORD_ROOM_BYTES), MAX_SEGMENT_BYTES)
}

/** The cleaner passes over the segment that is still written to, so compacted topics begin a new one often. */
function segmentMs({ cleanup, retentionMs }: TopicSpec): number {
  const week = 7 * 24 * HOUR_MS
  if (cleanup !== 'delete') return HOUR_MS
  return retentionMs < 0 ? week : Math.min(week, Math.max(HOUR_MS, Math.floor(retentionMs / SEGMENTS_PER_RETENTION)))
}

/** kafkajs reads gzip by itself and the others through our codecs; a broker never stores anything else. */
const READABLE_COMPRESSION = ['producer', 'uncompressed', 'gzip', 'snappy', 'lz4', 'zstd']

export function topicDifferences(
  spec: TopicSpec,
  found: FoundTopic | undefined,
  settings: Pick<KafkaSettings, 'replication'>,
): TopicDifference[] {
  const topic = spec.name
  if (found === undefined) {
    return [{ topic, setting: 'topic', declared: `partitions: ${spec.partitions}`, actual: undefined, kind: 'missing' }]
  }
  const differences: TopicDifference[] = []
  const note = (kind: TopicDifference['kind'], setting: string, declared: string | number, actual: string | number) =>
    differences.push({ topic, setting, declared: String(declared), actual: String(actual), kind })
  const actual = (setting: string) => found.config.get(setting)?.value ?? ''

  const copies = copiesOf(spec, settings)
  const minInSync = Number(actual('min.insync.replicas'))
  const needsBytes = spec.maxRecordBytes + RECORD_ROOM_BYTES

  if (found.partitions !== spec.partitions) note('incompatible', 'partitions', spec.partitions, found.partitions)
  if (policies(actual('cleanup.policy')) !== policies(spec.cleanup)) {
    note('incompatible', 'cleanup.policy', spec.cleanup, actual('cleanup.policy'))
  }
  if (Number(actual('max.message.bytes')) < needsBytes) {
    note('incompatible', 'max.message.bytes', needsBytes, actual('max.message.bytes'))
  }
  if (!READABLE_COMPRESSION.includes(actual('compression.type'))) {
    note('incompatible', 'compression.type', 'producer', actual('compression.type'))
  }
  if (actual('message.timestamp.type') !== 'CreateTime') {
    note('incompatible', 'message.timestamp.type', 'CreateTime', actual('message.timestamp.type'))
  }
  if (minInSync > found.replication) {
    note('incompatible', 'min.insync.replicas', copies.minInSyncReplicas, minInSync)
  } else if (minInSync < copies.minInSyncReplicas && copies.minInSyncReplicas <= found.replication) {
    note('tunable', 'min.insync.replicas', copies.minInSyncReplicas, minInSync)
  }
  if (actual('retention.ms') !== String(spec.retentionMs)) {
    note('tunable', 'retention.ms', spec.retentionMs, actual('retention.ms'))
  }
  if (actual('retention.bytes') !== String(spec.retentionBytes)) {
    note('tunable', 'retention.bytes', spec.retentionBytes, actual('retention.bytes'))
  }
  if (found.replication < copies.replication) {
    note('tunable', REPLICATION_FACTOR, copies.replication, found.replication)
  }
  return differences
}

/** Not a setting but where the copies are: an operator moves them, with kafka-reassign-partitions. */
export const REPLICATION_FACTOR = 'replication.factor'

function policies(list: string): string {
  return list
    .split(',')
    .map((policy) => policy.trim())
    .toSorted()
    .join(',')
}
