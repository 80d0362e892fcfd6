/** For tests: what serving says of versions. */
import { Rollout, RolloutOrder, RolloutOrderKind, RolloutState } from '@plateau/contracts'
import type { NewRecord } from '@plateau/event-log'

export function order(kind: 'LIVE' | 'PIN' | 'UNPIN' | 'RETIRE', version: number, lineage = 'default'): NewRecord {
  const what = kind === 'LIVE' ? 'live' : kind === 'RETIRE' ? `version/${version}` : 'pin'
  const message = RolloutOrder.fromPartial({
    schemaVersion: 1,
    lineage,
    kind: RolloutOrderKind[`ROLLOUT_ORDER_KIND_${kind}`],
    version,
  })
  return { key: `${lineage}/${what}`, value: RolloutOrder.encode(message).finish(), headers: {} }
}

export function rollout(
  version: number,
  state: 'LIVE' | 'CONFIRMED' | 'REJECTED' | 'ROLLED_BACK' | 'REPLACED',
  changes: Partial<Rollout> = {},
): NewRecord {
  const message = Rollout.fromPartial({
    schemaVersion: 1,
    lineage: 'default',
    version,
    state: RolloutState[`ROLLOUT_STATE_${state}`],
    reason: 'a test says so',
    server: 'here',
    ...changes,
  })
  return { key: message.lineage, value: Rollout.encode(message).finish(), headers: {} }
}
