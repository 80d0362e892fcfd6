import {
  Acceptance,
  DraftCheckpoint,
  ForgottenTenant,
  Rollout,
  SelectionPolicy,
} from './gen/plateau/stream/v1/draft.js'
import { Drift } from './gen/plateau/stream/v1/drift.js'
import { RolloutOrder } from './gen/plateau/stream/v1/operation.js'
import { ScoredWindow, TokenWindow, TrainingWindow } from './gen/plateau/stream/v1/window.js'

/** Encodes and decodes one topic's value. Satisfied by every generated message. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array }
  decode(bytes: Uint8Array): T
}

/**
 * A topic as it is declared, once, for every adapter. `retentionMs` and `retentionBytes` (per partition) bound the log;
 * `maxRecordBytes` bounds one record's key and value together.
 */
export interface TopicSpec<T = unknown> {
  readonly name: string
  /** Part of the contract: a key keeps its partition for as long as the topic lives. */
  readonly partitions: number
  /** Copies of a partition, and how many must have a record before it counts as written. A log without copies has 1. */
  readonly replication: number
  readonly minInSyncReplicas: number
  readonly cleanup: 'delete' | 'compact' | 'compact,delete'
  readonly retentionMs: number
  readonly retentionBytes: number
  readonly maxRecordBytes: number
  readonly owner: string
  /** What the record key is: records of one key keep their order. */
  readonly key: string
  /** Full name of the Protobuf message in the value; also the CloudEvents type. */
  readonly messageType: string
  /** Where that message is declared, relative to `proto/`, and its place among the file's messages, from 0. */
  readonly schema: { readonly file: string; readonly messageIndex: number }
  readonly codec: Codec<T>
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const MIB = 1024 * 1024

type Declared<T> = Omit<TopicSpec<T>, 'replication' | 'minInSyncReplicas'>

/** Every topic of ours survives the loss of one broker of three, and refuses writes rather than keep one copy only. */
const topic = <T>(spec: Declared<T>): TopicSpec<T> => Object.freeze({ ...spec, replication: 3, minInSyncReplicas: 2 })

const WINDOW_PROTO = 'plateau/stream/v1/window.proto'
const DRAFT_PROTO = 'plateau/stream/v1/draft.proto'
const DRIFT_PROTO = 'plateau/stream/v1/drift.proto'
const OPERATION_PROTO = 'plateau/stream/v1/operation.proto'

/** Every topic of Plateau. The README's table is checked against this list. */
export const topics = {
  tokenDistributions: topic<TokenWindow>({
    name: 'internal.plateau.token-distributions.v1',
    partitions: 4,
    cleanup: 'delete',
    retentionMs: 6 * HOUR_MS,
    retentionBytes: 256 * MIB,
    maxRecordBytes: MIB,
    owner: 'target-model',
    key: 'sample id',
    messageType: 'plateau.stream.v1.TokenWindow',
    schema: { file: WINDOW_PROTO, messageIndex: 2 },
    codec: TokenWindow,
  }),
  scoredTokens: topic<ScoredWindow>({
    name: 'public.plateau.scored-tokens.v1',
    partitions: 4,
    cleanup: 'delete',
    retentionMs: 3 * DAY_MS,
    retentionBytes: 256 * MIB,
    maxRecordBytes: MIB,
    owner: 'flatness-scorer',
    key: 'sample id',
    messageType: 'plateau.stream.v1.ScoredWindow',
    schema: { file: WINDOW_PROTO, messageIndex: 3 },
    codec: ScoredWindow,
  }),
  trainingWindows: topic<TrainingWindow>({
    name: 'internal.plateau.training-windows.v1',
    partitions: 4,
    cleanup: 'delete',
    retentionMs: 6 * HOUR_MS,
    retentionBytes: 256 * MIB,
    maxRecordBytes: MIB,
    owner: 'flatness-scorer',
    key: 'sample id',
    messageType: 'plateau.stream.v1.TrainingWindow',
    schema: { file: WINDOW_PROTO, messageIndex: 4 },
    codec: TrainingWindow,
  }),
  selectionPolicy: topic<SelectionPolicy>({
    name: 'internal.plateau.selection-policy.v1',
    partitions: 1,
    cleanup: 'compact',
    retentionMs: -1,
    retentionBytes: 16 * MIB,
    maxRecordBytes: 64 * 1024,
    owner: 'trainer',
    key: 'lineage',
    messageType: 'plateau.stream.v1.SelectionPolicy',
    schema: { file: DRAFT_PROTO, messageIndex: 4 },
    codec: SelectionPolicy,
  }),
  forgottenTenants: topic<ForgottenTenant>({
    name: 'internal.plateau.forgotten-tenants.v1',
    partitions: 1,
    cleanup: 'compact',
    retentionMs: -1,
    retentionBytes: 16 * MIB,
    maxRecordBytes: 64 * 1024,
    owner: 'plateau tenants forget',
    key: 'lineage/tenant',
    messageType: 'plateau.stream.v1.ForgottenTenant',
    schema: { file: DRAFT_PROTO, messageIndex: 5 },
    codec: ForgottenTenant,
  }),
  draftCheckpoints: topic<DraftCheckpoint>({
    name: 'public.plateau.draft-checkpoints.v1',
    partitions: 1,
    cleanup: 'compact',
    retentionMs: -1,
    retentionBytes: 16 * MIB,
    maxRecordBytes: 64 * 1024,
    owner: 'trainer',
    key: 'lineage',
    messageType: 'plateau.stream.v1.DraftCheckpoint',
    schema: { file: DRAFT_PROTO, messageIndex: 0 },
    codec: DraftCheckpoint,
  }),
  rollouts: topic<Rollout>({
    name: 'public.plateau.rollouts.v1',
    partitions: 1,
    cleanup: 'delete',
    retentionMs: 30 * DAY_MS,
    retentionBytes: 16 * MIB,
    maxRecordBytes: 64 * 1024,
    owner: 'serving',
    key: 'lineage',
    messageType: 'plateau.stream.v1.Rollout',
    schema: { file: DRAFT_PROTO, messageIndex: 2 },
    codec: Rollout,
  }),
  acceptance: topic<Acceptance>({
    name: 'public.plateau.acceptance.v1',
    partitions: 1,
    cleanup: 'delete',
    retentionMs: 7 * DAY_MS,
    retentionBytes: 64 * MIB,
    maxRecordBytes: 64 * 1024,
    owner: 'serving',
    key: 'draft version',
    messageType: 'plateau.stream.v1.Acceptance',
    schema: { file: DRAFT_PROTO, messageIndex: 3 },
    codec: Acceptance,
  }),
  rolloutOrders: topic<RolloutOrder>({
    name: 'internal.plateau.rollout-orders.v1',
    partitions: 1,
    cleanup: 'compact',
    retentionMs: -1,
    retentionBytes: 16 * MIB,
    maxRecordBytes: 64 * 1024,
    owner: 'serving',
    key: 'lineage/what',
    messageType: 'plateau.stream.v1.RolloutOrder',
    schema: { file: OPERATION_PROTO, messageIndex: 0 },
    codec: RolloutOrder,
  }),
  drift: topic<Drift>({
    name: 'public.plateau.drift.v1',
    partitions: 1,
    cleanup: 'delete',
    retentionMs: 30 * DAY_MS,
    retentionBytes: 16 * MIB,
    maxRecordBytes: 64 * 1024,
    owner: 'flatness-scorer, serving',
    key: 'lineage',
    messageType: 'plateau.stream.v1.Drift',
    schema: { file: DRIFT_PROTO, messageIndex: 0 },
    codec: Drift,
  }),
} as const

export const allTopics: readonly TopicSpec[] = Object.values(topics) as unknown as TopicSpec[]

/** Consumer groups that read in order to act; each has a dead letter topic for what it could not use. */
export const groups = {
  scorer: 'flatness-scorer.score.v1',
  trainer: 'trainer.train.v1',
} as const

/** Where records of `topic` go that `group` could not use: 14 days, untouched, with the reason in their headers. */
export function deadLetterTopic(source: TopicSpec, group: string): TopicSpec {
  return {
    ...source,
    name: `${source.name}.${group}.dlq`,
    cleanup: 'delete',
    retentionMs: 14 * DAY_MS,
    retentionBytes: 64 * MIB,
    // Room for the record's own headers besides its untouched key and value.
    maxRecordBytes: source.maxRecordBytes + 64 * 1024,
  }
}

/** Every dead letter topic that a service of ours writes. */
export const deadLetterTopics: readonly TopicSpec[] = [
  deadLetterTopic(topics.tokenDistributions as unknown as TopicSpec, groups.scorer),
  deadLetterTopic(topics.trainingWindows as unknown as TopicSpec, groups.trainer),
]
