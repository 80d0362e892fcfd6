import {
  Acceptance,
  DraftCheckpoint,
  Drift,
  encodeHeaders,
  Rollout,
  RolloutOrder,
  RolloutOrderKind,
  SelectionPolicy,
  topics,
  type TopicSpec,
} from '@plateau/contracts'
import type { LogRecord, NewRecord } from '@plateau/event-log'

export interface SentRecord {
  readonly topic: string
  readonly record: NewRecord
}

/** Records as their owners write them, with an id that tells them apart. */
export const sent = {
  checkpoint: (id: string, message: Partial<DraftCheckpoint>): SentRecord => {
    const full = DraftCheckpoint.fromPartial({ schemaVersion: 1, lineage: 'default', ...message })
    return record(topics.draftCheckpoints, id, full.lineage, full.publishedAtMs, DraftCheckpoint.encode(full).finish())
  },
  rollout: (id: string, message: Partial<Rollout>): SentRecord => {
    const full = Rollout.fromPartial({ schemaVersion: 1, lineage: 'default', server: 'serving-a', ...message })
    return record(topics.rollouts, id, full.lineage, full.atMs, Rollout.encode(full).finish())
  },
  order: (id: string, message: Partial<RolloutOrder>): SentRecord => {
    const full = RolloutOrder.fromPartial({ schemaVersion: 1, lineage: 'default', ...message })
    return record(topics.rolloutOrders, id, orderKey(full), full.atMs, RolloutOrder.encode(full).finish())
  },
  acceptance: (id: string, message: Partial<Acceptance>): SentRecord => {
    const full = Acceptance.fromPartial({ schemaVersion: 1, lineage: 'default', server: 'serving-a', ...message })
    return record(topics.acceptance, id, full.draftVersion, full.toMs, Acceptance.encode(full).finish())
  },
  drift: (id: string, message: Partial<Drift>): SentRecord => {
    const full = Drift.fromPartial({ schemaVersion: 1, lineage: 'default', server: 'serving-a', ...message })
    return record(topics.drift, id, full.lineage, full.atMs, Drift.encode(full).finish())
  },
  policy: (id: string, message: Partial<SelectionPolicy>): SentRecord => {
    const full = SelectionPolicy.fromPartial({ schemaVersion: 1, lineage: 'default', ...message })
    return record(topics.selectionPolicy, id, full.lineage, full.atMs, SelectionPolicy.encode(full).finish())
  },
}

/** As a reader would hand it over. */
export function logRecord({ topic, record: { key, value, headers } }: SentRecord, offset = 0): LogRecord {
  return { topic, partition: 0, offset, key, value, headers, timestampMs: 0 }
}

function record(topic: TopicSpec, id: string, key: string, timeMs: number, value: Uint8Array): SentRecord {
  const headers = encodeHeaders({ id, source: '/plateau/test', type: topic.messageType, timeMs, subject: key })
  return { topic: topic.name, record: { key, value, headers } }
}

function orderKey({ lineage, kind, version }: RolloutOrder): string {
  if (kind === RolloutOrderKind.ROLLOUT_ORDER_KIND_LIVE) return `${lineage}/live`
  const isPin = [RolloutOrderKind.ROLLOUT_ORDER_KIND_PIN, RolloutOrderKind.ROLLOUT_ORDER_KIND_UNPIN].includes(kind)
  return isPin ? `${lineage}/pin` : `${lineage}/version/${version}`
}
