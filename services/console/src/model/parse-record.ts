import {
  Acceptance,
  decodeHeaders,
  Drift,
  DraftCheckpoint,
  PlateauError,
  Rollout,
  RolloutOrder,
  SelectionPolicy,
  topics,
  unframe,
  type Codec,
  type TopicSpec,
} from '@plateau/contracts'
import type { LogRecord } from '@plateau/event-log'
import { bounds } from './state.js'

const SCHEMA_VERSION = 1
/** A record from further ahead would push everything else out of the history. */
const MOST_AHEAD_MS = 600_000

/** One record that can be used. A removed key of a compacted topic has no message. */
export type Parsed =
  | { readonly kind: 'checkpoint'; readonly message: DraftCheckpoint }
  | { readonly kind: 'rollout'; readonly message: Rollout }
  | { readonly kind: 'order'; readonly message: RolloutOrder }
  | { readonly kind: 'acceptance'; readonly message: Acceptance }
  | { readonly kind: 'drift'; readonly message: Drift }
  | { readonly kind: 'policy'; readonly message: SelectionPolicy }
  | { readonly kind: 'removed'; readonly topic: string; readonly key: string }

/** The topics that the console reads. */
export const consoleTopics = [
  topics.draftCheckpoints,
  topics.rolloutOrders,
  topics.selectionPolicy,
  topics.rollouts,
  topics.drift,
  topics.acceptance,
] as const

/** Throws PlateauError RECORD_UNUSABLE, BAD_FRAME, or what the Protobuf runtime throws. */
export function parseRecord(record: LogRecord, nowMs: number): Parsed {
  if (record.value === null) return { kind: 'removed', topic: record.topic, key: record.key }
  const read = readers[record.topic]
  if (read === undefined) throw unusable(record, 'the console does not read this topic')
  const parsed = read(record, unframe(record.value).payload)
  if (timeOf(parsed) > nowMs + MOST_AHEAD_MS) throw unusable(record, 'its time has not come yet')
  return parsed
}

type ReadRecord = (record: LogRecord, payload: Uint8Array) => Exclude<Parsed, { kind: 'removed' }>

const readers: Readonly<Record<string, ReadRecord>> = {
  [topics.draftCheckpoints.name]: (record, payload) => {
    const message = decode(topics.draftCheckpoints, DraftCheckpoint, record, payload)
    mustBeVersion(record, message.version)
    return { kind: 'checkpoint', message }
  },
  [topics.rollouts.name]: (record, payload) => {
    const message = decode(topics.rollouts, Rollout, record, payload)
    mustBeVersion(record, message.version)
    if (message.server === '') throw unusable(record, 'it names no server')
    const evidence = message.evidence && {
      ...message.evidence,
      slices: message.evidence.slices.slice(0, bounds.slices),
    }
    return { kind: 'rollout', message: { ...message, reason: shortened(message.reason), evidence } }
  },
  [topics.rolloutOrders.name]: (record, payload) => {
    const message = decode(topics.rolloutOrders, RolloutOrder, record, payload)
    return { kind: 'order', message: { ...message, reason: shortened(message.reason) } }
  },
  [topics.acceptance.name]: (record, payload) => {
    const message = decode(topics.acceptance, Acceptance, record, payload)
    if (message.draftVersion === '' || message.toMs < message.fromMs || !Number.isFinite(message.alphaSum)) {
      throw unusable(record, 'its version, interval or alpha is none')
    }
    return { kind: 'acceptance', message }
  },
  [topics.drift.name]: (record, payload) => {
    const message = decode(topics.drift, Drift, record, payload)
    return { kind: 'drift', message: { ...message, reason: shortened(message.reason) } }
  },
  [topics.selectionPolicy.name]: (record, payload) => {
    const message = decode(topics.selectionPolicy, SelectionPolicy, record, payload)
    return { kind: 'policy', message: { ...message, evidence: shortened(message.evidence) } }
  },
}

interface Common {
  readonly schemaVersion: number
  readonly lineage: string
}

function decode<T extends Common>(topic: TopicSpec, codec: Codec<T>, record: LogRecord, payload: Uint8Array): T {
  const headers = decodeHeaders(record.headers)
  if (headers?.type !== topic.messageType) throw unusable(record, `it is no ${topic.messageType}`)
  const message = codec.decode(payload)
  if (message.schemaVersion !== SCHEMA_VERSION) throw unusable(record, `its schema version is ${message.schemaVersion}`)
  if (message.lineage === '' || message.lineage.length > 256) throw unusable(record, 'it names no lineage')
  return message
}

function mustBeVersion(record: LogRecord, version: number): void {
  if (version < 1) throw unusable(record, `its version is ${version}`)
}

function timeOf(parsed: Exclude<Parsed, { kind: 'removed' }>): number {
  switch (parsed.kind) {
    case 'checkpoint':
      return parsed.message.publishedAtMs
    case 'acceptance':
      return parsed.message.toMs
    case 'rollout':
    case 'order':
    case 'drift':
    case 'policy':
      return parsed.message.atMs
  }
}

function shortened(text: string): string {
  return text.length <= bounds.textCharacters ? text : `${text.slice(0, bounds.textCharacters)} …`
}

function unusable({ topic, partition, offset }: LogRecord, why: string): PlateauError {
  return new PlateauError('RECORD_UNUSABLE', `record ${offset} of ${topic} cannot be shown: ${why}`, {
    facts: { topic, partition, offset },
  })
}
