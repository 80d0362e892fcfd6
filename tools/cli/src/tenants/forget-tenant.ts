import type { CheckpointStore } from '@plateau/checkpoints'
import {
  encodeHeaders,
  ForgottenTenant,
  RolloutOrder,
  RolloutOrderKind,
  topics,
  type TopicSpec,
} from '@plateau/contracts'
import type { NewRecord } from '@plateau/event-log'
import type { Context, ExitCode } from '../command.js'
import { openCheckpoints } from '../open-checkpoints.js'
import { knowledgeOf, type Knowledge } from './versions-of-tenant.js'
import { versionsInUse, type VersionsInUse } from './versions-in-use.js'

export interface ForgetOptions {
  readonly tenant: string
  readonly lineage: string
  /** Undefined: the environment's. */
  readonly store: string | undefined
  /** Versions of which nobody knows whose windows they used. */
  readonly retireUnknown: boolean
  readonly dryRun: boolean
}

type Fate = 'retired' | 'retired before' | 'left, unknown' | 'left'

interface Judged {
  readonly version: number
  readonly knowledge: Knowledge
  readonly fate: Fate
}

/** Not the tenant's name: orders are kept for ever and read by many. */
const REASON = 'it learned from a tenant that is to be forgotten'
const REASON_UNKNOWN = 'nobody knows whether it learned from a tenant that is to be forgotten'

/**
 * Asks the lineage's trainer to forget a tenant, and takes the versions that learned from it off traffic. The request
 * comes first: whatever is published after it knows nothing of the tenant, so no version slips through between the two.
 * 1 when a version is left of which nobody knows.
 */
export async function forgetTenant(context: Context, options: ForgetOptions): Promise<ExitCode> {
  const { tenant, lineage, dryRun } = options
  // Before anything is said to the trainer: a store that cannot be opened is a mistake in the settings.
  const store = await openCheckpoints(context.environment, options.store)
  const log = await context.openLog()
  const atMs = context.now()
  const producer = log.producer()
  try {
    if (!dryRun) {
      await log.ensureTopics([topics.forgottenTenants, topics.rolloutOrders])
      await producer.send(topics.forgottenTenants.name, [requestRecord(lineage, tenant, atMs)])
    }
    const inUse = await versionsInUse(context, lineage)
    const judged = await judge(store, inUse, options)
    const retired = judged.filter(({ fate }) => fate === 'retired')
    const isUnpinned = retired.some(({ version }) => version === inUse.pinned)
    const orders = [
      // A pinned version stays whatever else is ordered.
      ...(isUnpinned ? [orderRecord(RolloutOrderKind.ROLLOUT_ORDER_KIND_UNPIN, lineage, 0, REASON, atMs)] : []),
      ...retired.map(({ version, knowledge }) => {
        const reason = knowledge.kind === 'used' ? REASON : REASON_UNKNOWN
        return orderRecord(RolloutOrderKind.ROLLOUT_ORDER_KIND_RETIRE, lineage, version, reason, atMs)
      }),
    ]
    if (!dryRun && orders.length > 0) await producer.send(topics.rolloutOrders.name, orders)
    const capturedUntil = new Date(atMs).toISOString()
    context.report({
      json: { lineage, tenant, capturedUntil, dryRun, versions: judged, unpinned: isUnpinned ? inUse.pinned : 0 },
      text: report({ ...options, capturedUntil, judged, unpinned: isUnpinned ? inUse.pinned : 0 }),
    })
    return judged.some(({ fate }) => fate === 'left, unknown') ? 1 : 0
  } finally {
    await producer.close()
  }
}

async function judge(
  store: CheckpointStore,
  { versions, retired }: VersionsInUse,
  { lineage, tenant, retireUnknown }: ForgetOptions,
): Promise<Judged[]> {
  const all = [...new Set([...versions, ...(await store.versions(lineage))])].toSorted((a, b) => a - b)
  const judged: Judged[] = []
  for (const version of all) {
    const knowledge = await knowledgeOf(store, lineage, version, tenant)
    const fate = fateOf(knowledge, retired.has(version), retireUnknown)
    judged.push({ version, knowledge, fate })
  }
  return judged
}

function fateOf({ kind }: Knowledge, isRetired: boolean, retireUnknown: boolean): Fate {
  if (kind === 'not used') return 'left'
  if (isRetired) return 'retired before'
  return kind === 'used' || retireUnknown ? 'retired' : 'left, unknown'
}

interface Report extends ForgetOptions {
  readonly capturedUntil: string
  readonly judged: readonly Judged[]
  /** 0 = none. */
  readonly unpinned: number
}

function report({ tenant, lineage, capturedUntil, judged, unpinned, dryRun }: Report): string {
  const asked = `lineage ${lineage} ${dryRun ? 'would' : 'will'} forget what it learned from ${tenant} until ${capturedUntil}: its next version is without it`
  const named = judged.filter(({ fate }) => fate !== 'left')
  const unknown = named.filter(({ fate }) => fate === 'left, unknown').length
  const lines = [
    asked,
    judged.length === 0
      ? 'it has no version in the checkpoint store or in use: none is to be retired'
      : `${judged.length - named.length} of ${judged.length} versions did not learn from it`,
    ...(unpinned === 0 ? [] : [`version ${unpinned} was pinned: ${dryRun ? 'it would be' : 'it is'} pinned no longer`]),
    ...named.map((version) => `version ${version.version}: ${fateText(version, dryRun)}`),
    ...(unknown === 0
      ? []
      : [`${unknown} left that may have learned from it: --retire-unknown takes them off traffic, too`]),
  ]
  return `${lines.join('\n')}\n`
}

function fateText({ knowledge, fate }: Judged, dryRun: boolean): string {
  const why =
    knowledge.kind === 'used'
      ? `its windows are in its ${knowledge.by.join(' and ')}`
      : knowledge.kind === 'unknown'
        ? `unknown: ${knowledge.why}`
        : ''
  const done: Readonly<Record<Fate, string>> = {
    retired: dryRun ? 'would be retired' : 'retired',
    'retired before': 'off traffic already',
    'left, unknown': 'left as it is',
    left: 'left as it is',
  }
  return `${done[fate]} (${why})`
}

function requestRecord(lineage: string, tenant: string, atMs: number): NewRecord {
  const key = `${lineage}/${tenant}`
  const request = { schemaVersion: 1, lineage, tenant, capturedUntilMs: atMs }
  return record(topics.forgottenTenants, key, ForgottenTenant.encode(request).finish(), atMs)
}

function orderRecord(
  kind: RolloutOrderKind,
  lineage: string,
  version: number,
  reason: string,
  atMs: number,
): NewRecord {
  const key = kind === RolloutOrderKind.ROLLOUT_ORDER_KIND_UNPIN ? `${lineage}/pin` : `${lineage}/version/${version}`
  const orderedBy = 'plateau tenants forget'
  const order = { schemaVersion: 1, lineage, kind, version, reason, orderedBy, atMs, checkpoint: undefined }
  return record(topics.rolloutOrders, key, RolloutOrder.encode(order).finish(), atMs)
}

function record(topic: Pick<TopicSpec, 'messageType'>, key: string, value: Uint8Array, timeMs: number): NewRecord {
  const headers = encodeHeaders({
    id: `${key}/${timeMs}`,
    source: '/plateau/cli',
    type: topic.messageType,
    timeMs,
  })
  return { key, value, headers }
}
