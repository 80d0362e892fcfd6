import { RolloutState, type rollout } from '@plateau/contracts'
import type { LineageRollout } from './lineage-rollout.js'
import type { LoadedDraft } from './loaded-draft.js'
import { STATE_OF, type ServedVersion } from './served-version.js'

/** What a lineage serves, tests and waits with, as operators see it. */
export function lineageStatus(lineage: LineageRollout): rollout.LineageStatus {
  const { candidate, live, lastGood, kept, pinned } = lineage
  const versions = [
    ...[candidate, live].flatMap((served) => (served === undefined ? [] : [servedStatus(served, lineage)])),
    ...[lastGood, ...kept].flatMap((loaded) => (loaded === undefined ? [] : [replacedStatus(loaded, lineage)])),
  ]
  return {
    lineage: lineage.lineage,
    liveVersion: live?.loaded.version ?? 0,
    lastGoodVersion: lastGood?.version ?? 0,
    pinnedVersion: pinned,
    versions: versions.toSorted((a, b) => b.version - a.version),
  }
}

function servedStatus(
  { loaded, phase, sinceMs, evidence }: ServedVersion,
  lineage: LineageRollout,
): rollout.VersionStatus {
  return {
    version: loaded.version,
    state: loaded.version === lineage.pinned ? RolloutState.ROLLOUT_STATE_PINNED : STATE_OF[phase],
    sinceMs,
    share: lineage.shareOf(loaded),
    requestsInFlight: loaded.inFlight,
    evidence: [...evidence.values()],
  }
}

function replacedStatus(loaded: LoadedDraft, lineage: LineageRollout): rollout.VersionStatus {
  return {
    version: loaded.version,
    state: RolloutState.ROLLOUT_STATE_REPLACED,
    sinceMs: 0,
    share: lineage.shareOf(loaded),
    requestsInFlight: loaded.inFlight,
    evidence: [],
  }
}
