import {
  RolloutOrderKind,
  RolloutState,
  topics,
  type Acceptance,
  type DraftCheckpoint,
  type Rollout,
  type RolloutOrder,
} from '@plateau/contracts'
import type { LogRecord } from '@plateau/event-log'
import { HISTORY_MS, isDraft } from './acceptance-history.js'
import { addCounts, emptyCounts, type Counts } from './counts.js'
import { parseRecord, type Parsed } from './parse-record.js'
import { RecentIds } from './recent-ids.js'
import {
  boundedName,
  bounds,
  lineageOf,
  pushBounded,
  serverOf,
  versionOf,
  type ConsoleState,
  type LineageState,
  type VersionState,
} from './state.js'

export type FoldResult = 'applied' | 'duplicate' | 'malformed'

/**
 * Takes one record into the state. One that was delivered before (`ce_id`) changes nothing; one that cannot be used is
 * counted and changes nothing else. Never throws.
 */
export function fold(state: ConsoleState, record: LogRecord, nowMs: number): FoldResult {
  let parsed: Parsed
  try {
    parsed = parseRecord(record, nowMs)
  } catch {
    state.malformed.set(record.topic, (state.malformed.get(record.topic) ?? 0) + 1)
    state.changes += 1
    return 'malformed'
  }
  if (parsed.kind !== 'removed' && !isNew(state, record)) return 'duplicate'
  apply(state, parsed, nowMs)
  state.changes += 1
  return 'applied'
}

function isNew(state: ConsoleState, { topic, headers }: LogRecord): boolean {
  const seen = state.seen.get(topic) ?? new RecentIds(bounds.recentIds)
  state.seen.set(topic, seen)
  return seen.add(headers['ce_id'] ?? '')
}

function apply(state: ConsoleState, parsed: Parsed, nowMs: number): void {
  if (parsed.kind === 'removed') return remove(state, parsed.topic, parsed.key)
  const lineage = lineageOf(state, parsed.message.lineage)
  if (lineage === undefined) return
  switch (parsed.kind) {
    case 'checkpoint':
      return announce(lineage, parsed.message)
    case 'rollout':
      return rollOut(lineage, parsed.message)
    case 'order':
      return order(lineage, parsed.message)
    case 'acceptance':
      return accept(lineage, parsed.message, nowMs)
    case 'drift':
      return pushBounded(lineage.drifts, parsed.message, bounds.drifts)
    case 'policy':
      lineage.policy = parsed.message
  }
}

function announce(lineage: LineageState, checkpoint: DraftCheckpoint): void {
  const version = versionOf(lineage, checkpoint.version)
  if (version !== undefined) version.announced = checkpoint
}

function rollOut(lineage: LineageState, event: Rollout): void {
  pushBounded(lineage.recentEvents, event, bounds.recentEvents)
  const server = serverOf(lineage, event.server)
  server.heardMs = Math.max(server.heardMs, event.atMs)
  server.lastEvent = event
  followLive(server, event)

  const version = versionOf(lineage, event.version)
  if (version === undefined) return
  pushBounded(version.events, event, bounds.eventsOfVersion)
  if (!changesPhase(event)) return
  // Newest last, so that the quietest server gives way.
  version.phases.delete(event.server)
  version.phases.set(event.server, event)
  if (version.phases.size > bounds.servers) version.phases.delete(version.phases.keys().next().value!)
}

function followLive(server: { liveVersion: number; liveSinceMs: number }, event: Rollout): void {
  const { ROLLOUT_STATE_LIVE, ROLLOUT_STATE_CONFIRMED, ROLLOUT_STATE_REPLACED, ROLLOUT_STATE_ROLLED_BACK } =
    RolloutState
  const isLive = event.state === ROLLOUT_STATE_LIVE || event.state === ROLLOUT_STATE_CONFIRMED
  const isOver = event.state === ROLLOUT_STATE_REPLACED || event.state === ROLLOUT_STATE_ROLLED_BACK
  const now = isLive ? event.version : isOver && server.liveVersion === event.version ? event.otherVersion : undefined
  if (now === undefined || now === server.liveVersion) return
  server.liveVersion = now
  server.liveSinceMs = event.atMs
}

function changesPhase({ state }: Rollout): boolean {
  const { ROLLOUT_STATE_PINNED, ROLLOUT_STATE_UNPINNED } = RolloutState
  return state !== ROLLOUT_STATE_PINNED && state !== ROLLOUT_STATE_UNPINNED
}

function order(lineage: LineageState, given: RolloutOrder): void {
  const { ROLLOUT_ORDER_KIND_LIVE, ROLLOUT_ORDER_KIND_PIN, ROLLOUT_ORDER_KIND_UNPIN } = RolloutOrderKind
  if (given.kind === ROLLOUT_ORDER_KIND_LIVE) lineage.liveOrder = given
  if (given.kind === ROLLOUT_ORDER_KIND_PIN || given.kind === ROLLOUT_ORDER_KIND_UNPIN) lineage.pinOrder = given
  const version = given.version > 0 ? versionOf(lineage, given.version) : undefined
  if (version === undefined) return
  pushBounded(version.orders, given, bounds.ordersOfVersion)
  // The announcement itself is gone once a newer version was announced: the topic is compacted.
  version.announced ??= given.checkpoint
}

function accept(lineage: LineageState, record: Acceptance, nowMs: number): void {
  const server = serverOf(lineage, record.server)
  server.heardMs = Math.max(server.heardMs, record.toMs)
  const counts = countsOf(record)
  if (record.toMs > nowMs - HISTORY_MS) lineage.acceptance.add((record.fromMs + record.toMs) / 2, record, counts)
  const number = isDraft(record.draftVersion) ? Number(record.draftVersion) : Number.NaN
  const version = Number.isSafeInteger(number) ? versionOf(lineage, number) : undefined
  if (version !== undefined) countVersion(version, record, counts)
}

function countVersion({ acceptance }: VersionState, record: Acceptance, counts: Counts): void {
  addCounts(acceptance.total, counts)
  addTo(acceptance.tenants, record.tenant, counts)
  addTo(acceptance.domains, record.domain, counts)
  acceptance.fromMs = acceptance.fromMs === 0 ? record.fromMs : Math.min(acceptance.fromMs, record.fromMs)
  acceptance.toMs = Math.max(acceptance.toMs, record.toMs)
}

function addTo(sums: Map<string, Counts>, name: string, counts: Counts): void {
  const kept = boundedName(sums, name)
  const sum = sums.get(kept) ?? emptyCounts()
  sums.set(kept, sum)
  addCounts(sum, counts)
}

function countsOf(record: Acceptance): Counts {
  return {
    drafts: record.numDrafts,
    draftTokens: record.numDraftTokens,
    acceptedTokens: record.numAcceptedTokens,
    emittedTokens: record.numEmittedTokens,
    alphaSum: record.alphaSum,
    alphaPositions: record.alphaPositions,
    finished: record.requestsFinished,
    failed: record.requestsFailed,
  }
}

/** A removed key takes back what its record said. */
function remove(state: ConsoleState, topic: string, key: string): void {
  if (topic === topics.selectionPolicy.name) {
    const lineage = state.lineages.get(key)
    if (lineage !== undefined) lineage.policy = undefined
    return
  }
  if (topic !== topics.rolloutOrders.name) return
  const [, name = '', what = ''] = /^(.*?)\/(live|pin|version\/\d+)$/.exec(key) ?? []
  const lineage = state.lineages.get(name)
  if (lineage === undefined) return
  if (what === 'pin') lineage.pinOrder = undefined
  else if (what === 'live') lineage.liveOrder = undefined
  else lineage.versions.get(Number(what.slice('version/'.length)))?.orders.splice(0)
}
