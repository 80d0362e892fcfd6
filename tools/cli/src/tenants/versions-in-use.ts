import { RolloutOrderKind, topics, type RolloutOrder } from '@plateau/contracts'
import type { Context } from '../command.js'
import { readValues } from '../rollouts/read-records.js'

export interface VersionsInUse {
  /** Announced, what a server begins with, or used by one a moment ago; ascending. */
  readonly versions: readonly number[]
  /** Off traffic for good already. */
  readonly retired: ReadonlySet<number>
  /** 0 = none. */
  readonly pinned: number
}

const {
  ROLLOUT_ORDER_KIND_LIVE: LIVE,
  ROLLOUT_ORDER_KIND_PIN: PIN,
  ROLLOUT_ORDER_KIND_UNPIN: UNPIN,
  ROLLOUT_ORDER_KIND_RETIRE: RETIRE,
} = RolloutOrderKind

/** A version that proposed within so long may still do so. */
const RECENTLY_MS = 600_000

/** What the log says of a lineage's versions: beside those in the store, which may be older than what servers hold. */
export async function versionsInUse(context: Context, lineage: string): Promise<VersionsInUse> {
  const isOurs = (found: { readonly lineage: string }): boolean => found.lineage === lineage
  const orders = newestByKey((await readValues(context, topics.rolloutOrders)).filter(isOurs))
  const announced = (await readValues(context, topics.draftCheckpoints)).filter(isOurs)
  const sinceMs = context.now() - RECENTLY_MS
  const proposing = (await readValues(context, topics.acceptance)).filter(({ toMs }) => toMs >= sinceMs).filter(isOurs)
  const versions = [
    ...announced.map(({ version }) => version),
    ...orders.flatMap(({ kind, version }) => (kind === RETIRE || kind === UNPIN ? [] : [version])),
    // "prompt-lookup" is among them, and "0", which is no draft.
    ...proposing.map(({ draftVersion }) => Number(draftVersion)).filter((version) => version > 0),
  ]
  return {
    versions: [...new Set(versions)].toSorted((a, b) => a - b),
    retired: new Set(orders.flatMap(({ kind, version }) => (kind === RETIRE ? [version] : []))),
    pinned: orders.find(({ kind }) => kind === PIN)?.version ?? 0,
  }
}

/** Orders replace each other by key: the pin, what is live, and each version's own. */
function newestByKey(orders: readonly RolloutOrder[]): RolloutOrder[] {
  return [...new Map(orders.map((order) => [keyOf(order), order])).values()]
}

function keyOf({ kind, version }: RolloutOrder): string {
  if (kind === LIVE) return 'live'
  return kind === PIN || kind === UNPIN ? 'pin' : `version/${version}`
}
