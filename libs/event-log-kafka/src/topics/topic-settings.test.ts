import { allTopics } from '@plateau/contracts'
import { expect, test } from 'vitest'
import { topicOf } from '../testing/topic-of.js'
import { copiesOf, creationConfig, type FoundTopic, topicDifferences } from './topic-settings.js'

const settings = { replication: undefined, topicConfig: {} }
const spec = topicOf('t', {
  partitions: 4,
  replication: 3,
  minInSyncReplicas: 2,
  retentionMs: 3_600_000,
  retentionBytes: 256 * 1024 * 1024,
})

function found(changes: Record<string, string> = {}, others: Partial<FoundTopic> = {}): FoundTopic {
  const config = { ...creationConfig(spec, settings), ...changes }
  const entries = Object.entries(config).map(([name, value]) => [name, { value, isOverride: true }] as const)
  return { partitions: 4, replication: 3, config: new Map(entries), ...others }
}

const kinds = (topic: FoundTopic | undefined) =>
  topicDifferences(spec, topic, settings).map(({ setting, kind }) => `${setting} ${kind}`)

test('a topic as we create it is as we declare it', () => {
  expect(kinds(found())).toEqual([])
})

test.for(allTopics)('$name is declared so that it can be created', (topic) => {
  const config = creationConfig(topic, settings)
  expect(Number(config['segment.bytes'])).toBeGreaterThanOrEqual(1024 * 1024)
  expect(Number(config['segment.bytes'])).toBeLessThanOrEqual(Math.max(topic.retentionBytes / 4, 2 * 1024 * 1024))
  expect(Number(config['max.message.bytes'])).toBeGreaterThan(topic.maxRecordBytes)
})

test('a missing topic is missing, and nothing else', () => {
  expect(kinds(undefined)).toEqual(['topic missing'])
})

test('what would lose, split or misread records is incompatible', () => {
  expect(kinds(found({}, { partitions: 5 }))).toEqual(['partitions incompatible'])
  expect(kinds(found({ 'cleanup.policy': 'compact' }))).toEqual(['cleanup.policy incompatible'])
  expect(kinds(found({ 'max.message.bytes': '1048588' }))).toEqual(['max.message.bytes incompatible'])
  expect(kinds(found({ 'message.timestamp.type': 'LogAppendTime' }))).toEqual(['message.timestamp.type incompatible'])
  expect(kinds(found({ 'compression.type': 'brotli' }))).toEqual(['compression.type incompatible'])
  expect(kinds(found({ 'min.insync.replicas': '4' }))).toEqual(['min.insync.replicas incompatible'])
})

test('what an operator may tune is tunable', () => {
  expect(kinds(found({ 'retention.ms': '1', 'retention.bytes': '2', 'min.insync.replicas': '1' }))).toEqual([
    'min.insync.replicas tunable',
    'retention.ms tunable',
    'retention.bytes tunable',
  ])
  expect(kinds(found({ 'max.message.bytes': '9999999', 'compression.type': 'zstd' }))).toEqual([])
})

test('fewer copies than declared are named, and more in-sync ones than there are copies are not asked for', () => {
  expect(kinds(found({ 'min.insync.replicas': '1' }, { replication: 1 }))).toEqual(['replication.factor tunable'])
})

test('on a small cluster copies are capped, and the in-sync ones with them', () => {
  expect(copiesOf(spec, { replication: 1 })).toEqual({ replication: 1, minInSyncReplicas: 1 })
  expect(copiesOf(spec, { replication: 5 })).toEqual({ replication: 3, minInSyncReplicas: 2 })
  const single = found({ 'min.insync.replicas': '1' }, { replication: 1 })
  expect(topicDifferences(spec, single, { replication: 1 })).toEqual([])
})

test('the order of cleanup policies means nothing', () => {
  const both = topicOf('t', { cleanup: 'compact,delete' })
  const config = { ...creationConfig(both, settings), 'cleanup.policy': 'delete,compact' }
  const entries = Object.entries(config).map(([name, value]) => [name, { value, isOverride: true }] as const)
  expect(topicDifferences(both, { partitions: 1, replication: 1, config: new Map(entries) }, settings)).toEqual([])
})
