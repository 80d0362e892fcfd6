import type { Drift, DraftCheckpoint, Rollout, RolloutOrder, SelectionPolicy } from '@plateau/contracts'
import { AcceptanceHistory } from './acceptance-history.js'
import { emptyCounts, type Counts } from './counts.js'
import type { RecentIds } from './recent-ids.js'

/** How much is kept; what is above it gives way, oldest first. */
export const bounds = {
  lineages: 32,
  versions: 500,
  eventsOfVersion: 100,
  ordersOfVersion: 20,
  recentEvents: 200,
  drifts: 200,
  servers: 64,
  names: 64,
  textCharacters: 2_000,
  slices: 64,
  recentIds: 50_000,
} as const

/** What the log says about drafts, as far as a person wants to see it. Changed by `fold` only. */
export interface ConsoleState {
  readonly lineages: Map<string, LineageState>
  /** By topic: records that could not be used. */
  readonly malformed: Map<string, number>
  /** By topic: ids of records, to know one that comes again. */
  readonly seen: Map<string, RecentIds>
  /** Records of lineages above the bound. */
  leftOut: number
  /** Grows whenever something that is shown has changed. */
  changes: number
}

export interface LineageState {
  readonly name: string
  /** By version number. */
  readonly versions: Map<number, VersionState>
  readonly servers: Map<string, ServerState>
  /** As they arrived, the newest last. */
  readonly recentEvents: Rollout[]
  readonly drifts: Drift[]
  readonly acceptance: AcceptanceHistory
  policy: SelectionPolicy | undefined
  /** What a serving process begins with. */
  liveOrder: RolloutOrder | undefined
  /** The newest PIN or UNPIN. */
  pinOrder: RolloutOrder | undefined
}

export interface VersionState {
  readonly version: number
  announced: DraftCheckpoint | undefined
  /** As they arrived, the newest last. */
  readonly events: Rollout[]
  readonly orders: RolloutOrder[]
  /** By server: its newest event, but for pins, which change no phase. */
  readonly phases: Map<string, Rollout>
  readonly acceptance: VersionAcceptance
}

/** Since the version's first record in the topic, which holds seven days. */
export interface VersionAcceptance {
  readonly total: Counts
  readonly tenants: Map<string, Counts>
  readonly domains: Map<string, Counts>
  /** 0 while nothing was counted. */
  fromMs: number
  toMs: number
}

export interface ServerState {
  readonly name: string
  /** 0 = none. */
  liveVersion: number
  liveSinceMs: number
  /** When it last wrote anything. */
  heardMs: number
  lastEvent: Rollout | undefined
}

export function emptyState(): ConsoleState {
  return { lineages: new Map(), malformed: new Map(), seen: new Map(), leftOut: 0, changes: 0 }
}

/** Undefined when there are too many already. */
export function lineageOf(state: ConsoleState, name: string): LineageState | undefined {
  const present = state.lineages.get(name)
  if (present !== undefined) return present
  if (state.lineages.size >= bounds.lineages) {
    state.leftOut += 1
    return undefined
  }
  const lineage: LineageState = {
    name,
    versions: new Map(),
    servers: new Map(),
    recentEvents: [],
    drifts: [],
    acceptance: new AcceptanceHistory(),
    policy: undefined,
    liveOrder: undefined,
    pinOrder: undefined,
  }
  state.lineages.set(name, lineage)
  return lineage
}

/** Undefined when it is older than every version of a full lineage. */
export function versionOf(lineage: Pick<LineageState, 'versions'>, version: number): VersionState | undefined {
  const present = lineage.versions.get(version)
  if (present !== undefined) return present
  if (lineage.versions.size >= bounds.versions) {
    const oldest = Math.min(...lineage.versions.keys())
    if (version < oldest) return undefined
    lineage.versions.delete(oldest)
  }
  const added: VersionState = {
    version,
    announced: undefined,
    events: [],
    orders: [],
    phases: new Map(),
    acceptance: { total: emptyCounts(), tenants: new Map(), domains: new Map(), fromMs: 0, toMs: 0 },
  }
  lineage.versions.set(version, added)
  return added
}

export function serverOf(lineage: LineageState, name: string): ServerState {
  const present = lineage.servers.get(name)
  if (present !== undefined) return present
  if (lineage.servers.size >= bounds.servers) {
    const quiet = [...lineage.servers.values()].reduce((a, b) => (b.heardMs < a.heardMs ? b : a))
    lineage.servers.delete(quiet.name)
  }
  const added: ServerState = { name, liveVersion: 0, liveSinceMs: 0, heardMs: 0, lastEvent: undefined }
  lineage.servers.set(name, added)
  return added
}

/** Keeps the newest `max`. */
export function pushBounded<T>(list: T[], item: T, max: number): void {
  list.push(item)
  if (list.length > max) list.shift()
}

/** `name`, or "other" when so many are known already that it finds no room. */
export function boundedName(known: ReadonlyMap<string, unknown>, name: string): string {
  return known.has(name) || known.size < bounds.names ? name : 'other'
}
