import { DriftKind, type Drift, type Rollout, type RolloutOrder } from '@plateau/contracts'
import { isDraft } from './model/acceptance-history.js'
import { measures, type Counts } from './model/counts.js'
import { explain } from './model/explain.js'
import {
  candidates,
  liveVersion,
  newestFirst,
  orderName,
  phaseOf,
  pinnedVersion,
  presentServers,
  stateName,
} from './model/phases.js'
import type { ConsoleState, LineageState, VersionState } from './model/state.js'
import type { SourceStatus } from './pages/layout.js'
import { heldOutOf, parentOf, type VersionStory } from './version-facts.js'

const SHOWN = 50
const RECENT_MS = 300_000

/** What the overview shows, for machines. Times are milliseconds since 1970; versions are numbers, 0 = none. */
export function stateJson(state: ConsoleState, sources: SourceStatus, nowMs: number): object {
  return {
    nowMs,
    problems: sources.problems,
    malformed: Object.fromEntries(sources.malformed),
    lineages: [...state.lineages.values()].map((lineage) => lineageJson(lineage, nowMs)),
  }
}

/** Everything that is known of one version. */
export function versionJson(lineage: LineageState, story: VersionStory): object {
  const { version, files, parents } = story
  const { total, tenants, domains, fromMs, toMs } = version.acceptance
  return {
    ...versionSummary(lineage, version),
    announced: version.announced,
    heldOut: heldOutOf(story),
    parent: parentOf(story),
    ancestors: parents.map((parent) => parent.version.version),
    files,
    events: version.events.map(eventJson),
    orders: version.orders.map(orderJson),
    acceptance: { fromMs, toMs, ...countsJson(total), tenants: namesJson(tenants), domains: namesJson(domains) },
  }
}

function lineageJson(lineage: LineageState, nowMs: number): object {
  const live = liveVersion(lineage)
  const present = new Set(presentServers(lineage))
  const drafts = lineage.acceptance.totals('version', nowMs - RECENT_MS, nowMs)
  return {
    lineage: lineage.name,
    live: live ?? null,
    pinnedVersion: pinnedVersion(lineage),
    lastGood: lineage.liveOrder === undefined ? null : orderJson(lineage.liveOrder),
    candidates: candidates(lineage).map(({ version, phase }) => ({ version: version.version, phase })),
    servers: [...lineage.servers.values()].map(({ name, liveVersion: version, liveSinceMs, heardMs, lastEvent }) => ({
      server: name,
      liveVersion: version,
      liveSinceMs,
      heardMs,
      isPresent: present.has(lineage.servers.get(name)!),
      lastEvent: lastEvent === undefined ? null : eventJson(lastEvent),
    })),
    policy: lineage.policy ?? null,
    acceptanceLast5Minutes: Object.fromEntries(
      drafts.map(([name, counts]) => [name, { isDraft: isDraft(name), ...countsJson(counts) }]),
    ),
    versions: newestFirst(lineage)
      .slice(0, SHOWN)
      .map((version) => versionSummary(lineage, version)),
    events: lineage.recentEvents.slice(-SHOWN).toReversed().map(eventJson),
    drift: lineage.drifts.slice(-SHOWN).toReversed().map(driftJson),
  }
}

function versionSummary(lineage: LineageState, version: VersionState): object {
  return {
    lineage: lineage.name,
    version: version.version,
    phase: phaseOf(lineage, version),
    isPinned: pinnedVersion(lineage) === version.version,
    explanation: explain(lineage, version),
  }
}

function countsJson(counts: Counts): object {
  return {
    ...counts,
    acceptanceRate: measures.rate(counts) ?? null,
    acceptanceLength: measures.length(counts) ?? null,
    alpha: measures.alpha(counts) ?? null,
  }
}

function namesJson(names: ReadonlyMap<string, Counts>): object {
  return [...names].map(([name, counts]) => ({ name, ...countsJson(counts) }))
}

function eventJson(event: Rollout): object {
  return { ...event, state: stateName(event.state) }
}

function orderJson(order: RolloutOrder): object {
  return { ...order, kind: orderName(order.kind) }
}

function driftJson(drift: Drift): object {
  return { ...drift, kind: (DriftKind[drift.kind] ?? '').replace('DRIFT_KIND_', '').toLowerCase() }
}
