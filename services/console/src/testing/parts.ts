import { RolloutEvidence, RolloutState } from '@plateau/contracts'
import { fold, type FoldResult } from '../model/fold.js'
import { emptyState, type ConsoleState } from '../model/state.js'
import type { SourceStatus } from '../pages/layout.js'
import { logRecord, sent, type SentRecord } from './records.js'

/** When tests take place. */
export const NOW_MS = Date.UTC(2026, 10, 27, 12, 0, 0)

export const noProblems: SourceStatus = { problems: [], malformed: [], leftOut: 0 }

export function foldAll(records: readonly SentRecord[], state: ConsoleState = emptyState()): ConsoleState {
  for (const record of records) foldOne(state, record)
  return state
}

export function foldOne(state: ConsoleState, record: SentRecord): FoldResult {
  return fold(state, logRecord(record), NOW_MS)
}

let ids = 0

/** An event with an id of its own. */
export function event(
  version: number,
  state:
    | 'ANNOUNCED'
    | 'VERIFIED'
    | 'SHADOW'
    | 'CANARY'
    | 'LIVE'
    | 'CONFIRMED'
    | 'REPLACED'
    | 'REJECTED'
    | 'ROLLED_BACK'
    | 'PINNED',
  more: Parameters<typeof sent.rollout>[1] = {},
): SentRecord {
  ids += 1
  return sent.rollout(`event-${ids}`, {
    version,
    state: RolloutState[`ROLLOUT_STATE_${state}`],
    atMs: NOW_MS - 60_000 + ids,
    ...more,
  })
}

export function evidence(more: Partial<RolloutEvidence> = {}): RolloutEvidence {
  return RolloutEvidence.fromPartial({
    comparison: 'live-pairs',
    positions: 412,
    value: 0.571,
    otherValue: 0.55,
    difference: 0.021,
    low: 0.004,
    high: 0.038,
    errorRate: 0.01,
    margin: 0.03,
    ...more,
  })
}
