import { RolloutOrderKind, RolloutState, type Rollout } from '@plateau/contracts'
import type { LineageState, ServerState, VersionState } from './state.js'

/** What became of a version, in one word. */
export type Phase =
  | 'unknown'
  | 'announced'
  | 'verified'
  | 'shadow'
  | 'canary'
  | 'live'
  | 'confirmed'
  | 'replaced'
  | 'rejected'
  | 'rolled back'
  | 'retired'

export const phases: readonly Phase[] = [
  'announced',
  'verified',
  'shadow',
  'canary',
  'live',
  'confirmed',
  'replaced',
  'rejected',
  'rolled back',
  'retired',
  'unknown',
]

/** Servers that were heard of this long before the newest one are taken to have ended. */
const SAME_TIME_MS = 600_000

/** "live", "rolled back": the event's state as people say it. */
export function stateName(state: RolloutState): string {
  return (RolloutState[state] ?? `state ${state}`).replace('ROLLOUT_STATE_', '').toLowerCase().replaceAll('_', ' ')
}

export function orderName(kind: RolloutOrderKind): string {
  return (RolloutOrderKind[kind] ?? `order ${kind}`).replace('ROLLOUT_ORDER_KIND_', '').toLowerCase()
}

/**
 * Live where any server that is there has it live; else what the newest event says, unless it was retired by an order. A
 * version that no server has spoken of is announced.
 */
export function phaseOf(lineage: LineageState, version: VersionState): Phase {
  const newest = newestPhase(version)
  const servers = presentServers(lineage).filter((server) => server.liveVersion === version.version)
  if (servers.length > 0) {
    const confirmed = servers.some(({ name }) => isState(version.phases.get(name), 'ROLLOUT_STATE_CONFIRMED'))
    return confirmed ? 'confirmed' : 'live'
  }
  const said = newest === undefined ? undefined : phaseOfEvent(newest)
  if (said === 'rejected' || said === 'rolled back') return said
  if (isRetired(version)) return 'retired'
  if (said === 'live' || said === 'confirmed') return 'replaced'
  return said ?? (version.announced === undefined ? 'unknown' : 'announced')
}

/** What new requests use, by most of the servers that are there; undefined when none has said so. */
export function liveVersion(
  lineage: LineageState,
): { readonly version: number; readonly servers: number; readonly of: number; readonly sinceMs: number } | undefined {
  const present = presentServers(lineage).filter(({ liveVersion: version }) => version > 0)
  if (present.length === 0) return undefined
  const byVersion = Map.groupBy(present, (server) => server.liveVersion)
  const [version, servers] = [...byVersion].toSorted((a, b) => b[1].length - a[1].length || b[0] - a[0])[0]!
  const sinceMs = Math.min(...servers.map(({ liveSinceMs }) => liveSinceMs))
  return { version, servers: servers.length, of: present.length, sinceMs }
}

/** 0 = none. */
export function pinnedVersion({ pinOrder }: LineageState): number {
  return pinOrder?.kind === RolloutOrderKind.ROLLOUT_ORDER_KIND_PIN ? pinOrder.version : 0
}

/** Versions that are on their way, newest first: newer than the live one, and neither refused nor passed over. */
export function candidates(lineage: LineageState): { readonly version: VersionState; readonly phase: Phase }[] {
  const live = liveVersion(lineage)?.version ?? 0
  return newestFirst(lineage)
    .filter(({ version }) => version > live)
    .map((version) => ({ version, phase: phaseOf(lineage, version) }))
    .filter(({ phase }) => ['announced', 'verified', 'shadow', 'canary'].includes(phase))
}

export function newestFirst({ versions }: LineageState): VersionState[] {
  return [...versions.values()].toSorted((a, b) => b.version - a.version)
}

/** Those heard of about when the newest one was: an ended process says nothing more, and keeps its name to itself. */
export function presentServers({ servers }: LineageState): ServerState[] {
  const newestMs = Math.max(...[...servers.values()].map(({ heardMs }) => heardMs))
  return [...servers.values()].filter(({ heardMs }) => heardMs >= newestMs - SAME_TIME_MS)
}

/** When the version was first heard of: its publication, or the first event or order about it. 0 = never. */
export function firstHeardMs({ announced, events, orders }: VersionState): number {
  const times = [announced?.publishedAtMs ?? 0, events[0]?.atMs ?? 0, orders[0]?.atMs ?? 0].filter((ms) => ms > 0)
  return times.length === 0 ? 0 : Math.min(...times)
}

function newestPhase({ phases: byServer }: VersionState): Rollout | undefined {
  let newest: Rollout | undefined
  for (const event of byServer.values()) if (newest === undefined || event.atMs >= newest.atMs) newest = event
  return newest
}

/** An order took it off traffic for good, and none came after that. */
export function isRetired({ orders }: VersionState): boolean {
  const retired = orders.findLastIndex(({ kind }) => kind === RolloutOrderKind.ROLLOUT_ORDER_KIND_RETIRE)
  const promoted = orders.findLastIndex(({ kind }) => kind === RolloutOrderKind.ROLLOUT_ORDER_KIND_PROMOTE)
  return retired > promoted
}

function isState(event: Rollout | undefined, name: keyof typeof RolloutState): boolean {
  return event?.state === RolloutState[name]
}

function phaseOfEvent({ state }: Rollout): Phase | undefined {
  const name = stateName(state)
  return phases.find((phase) => phase === name)
}
