import { shareOf, type TrafficLabels } from '@plateau/rollout'
import type { DraftLease, LoadedDraft } from './loaded-draft.js'
import type { ComparisonStage, DraftPair } from './paired-sessions.js'
import { CONFIRMED_HOLDBACK_SHARE, PAIR_SHARE, type RolloutSettings } from './rollout-settings.js'
import type { ServedVersion } from './served-version.js'

/** Which versions of a lineage stand where at this moment. */
export interface Standing {
  readonly lineage: string
  readonly settings: RolloutSettings
  readonly live: ServedVersion | undefined
  readonly candidate: ServedVersion | undefined
  /** What a rollback goes back to. */
  readonly lastGood: LoadedDraft | undefined
  /** Proposes where no version is live. */
  readonly floor: LoadedDraft | undefined
}

/** A request's place in the comparison of two versions. */
export interface LineageAssignment {
  readonly lease: DraftLease | undefined
  readonly pair: DraftPair | undefined
  /** What became of the proposals of the version that the request was on. */
  readonly finished: (accepted: number, judged: number) => void
}

/**
 * The version that a request uses, and whether two are compared on it. The same sample id always falls on the same side.
 * Whatever becomes of the versions while the response runs, it counts for what it began with. `isSuspected`: what
 * was found once no longer holds, and every response is compared, not a share of them.
 */
export function assignVersion(
  standing: Standing,
  sampleId: string,
  labels: TrafficLabels,
  isSuspected: boolean,
): LineageAssignment {
  const { live, candidate, lastGood, floor } = standing
  const proposing = chosenFor(sampleId, standing) ?? floor
  const comparisons = [
    { served: candidate, incumbent: live?.loaded ?? floor },
    { served: live, incumbent: lastGood ?? floor },
  ].flatMap(({ served, incumbent }) =>
    served?.trial === undefined ? [] : [{ served, trial: served.trial, incumbent }],
  )
  const [first] = comparisons
  const isPaired =
    first !== undefined &&
    shareOf(sampleId, `${standing.lineage}/pair`) < PAIR_SHARE[stageOf(first.served, isSuspected)]
  return {
    lease: proposing?.lease(),
    pair: isPaired
      ? {
          candidate: first.served.loaded.lease(),
          incumbent: first.incumbent?.lease(),
          stage: stageOf(first.served, isSuspected),
          record: (value, other) => first.trial.observeLivePair(value, other, { ...labels, sampleId }),
        }
      : undefined,
    finished: (accepted, judged) => {
      for (const { served, trial, incumbent } of comparisons) {
        if (proposing === served.loaded) trial.observeResponse('candidate', accepted, judged, labels)
        else if (proposing === incumbent) trial.observeResponse('incumbent', accepted, judged, labels)
      }
    },
  }
}

/** Share of new requests that a version gets by the roll-out alone. */
export function requestShare(loaded: LoadedDraft, standing: Standing): number {
  const { live, candidate, lastGood, settings } = standing
  const canary = candidate?.phase === 'canary' ? settings.canaryShare : 0
  const held = holdbackShare(standing)
  if (loaded === candidate?.loaded) return canary
  if (loaded === lastGood) return held
  return loaded === live?.loaded ? 1 - canary - held : 0
}

function chosenFor(sampleId: string, standing: Standing): LoadedDraft | undefined {
  const { lineage, live, candidate, lastGood, settings } = standing
  const draw = shareOf(sampleId, `${lineage}/${candidate?.loaded.version ?? 0}/${live?.loaded.version ?? 0}`)
  if (candidate?.phase === 'canary' && draw < settings.canaryShare) return candidate.loaded
  return draw > 1 - holdbackShare(standing) ? lastGood : live?.loaded
}

/** Of requests that stay on the version before the live one. */
function holdbackShare({ live, lastGood, settings }: Standing): number {
  if (lastGood === undefined || live?.trial === undefined) return 0
  return live.phase === 'confirmed' ? CONFIRMED_HOLDBACK_SHARE : settings.holdbackShare
}

function stageOf({ phase }: ServedVersion, isSuspected: boolean): ComparisonStage {
  if (isSuspected) return 'trial'
  if (phase === 'confirmed') return 'confirmed'
  return phase === 'live' ? 'watch' : 'trial'
}
