import { Rollout, RolloutOrder, RolloutOrderKind, RolloutState, topics } from '@plateau/contracts'
import type { EventLog, LogRecord } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import type { TrainerMetrics } from './metrics.js'
import { TopicTail } from './topic-tail.js'

export interface ServingVerdictsParts {
  readonly log: EventLog
  readonly lineage: string
  readonly logger: Logger
  readonly metrics: Pick<TrainerMetrics, 'versionsRefused'>
}

const REFUSALS = new Set([RolloutState.ROLLOUT_STATE_REJECTED, RolloutState.ROLLOUT_STATE_ROLLED_BACK])
const USES = new Set([RolloutState.ROLLOUT_STATE_LIVE, RolloutState.ROLLOUT_STATE_CONFIRMED])
/** Refusals that are remembered: the oldest are of versions that are long gone. */
const MOST_REFUSED = 1024

/**
 * What serving thinks of the lineage's versions: which one is live for good, which one is pinned (orders), and which ones it
 * refused (roll-outs). Told anew by the topics at every start; what was refused before is not counted again then.
 */
export class ServingVerdicts {
  readonly #parts: ServingVerdictsParts
  readonly #orders: TopicTail
  readonly #rollouts: TopicTail
  readonly #refused = new Set<number>()
  #live = 0
  #pinned = 0
  #isCaughtUp = false

  constructor(parts: ServingVerdictsParts) {
    this.#parts = parts
    this.#orders = new TopicTail(parts.log, topics.rolloutOrders.name)
    this.#rollouts = new TopicTail(parts.log, topics.rollouts.name)
  }

  /** The version that was last found good on live traffic; 0 = none that is known. */
  get live(): number {
    return this.#live
  }

  /** What serving begins with, or stays on: the store must have it. */
  get held(): readonly number[] {
    return [this.#live, this.#pinned].filter((version) => version > 0)
  }

  hasRefused(version: number): boolean {
    return this.#refused.has(version)
  }

  /** Throws what the log throws. `newest`: the version that training goes on from. */
  async read(newest: number): Promise<void> {
    await this.readOrders()
    for (const record of await this.#rollouts.read()) {
      const rollout = this.#decoded(record, Rollout)
      if (rollout !== undefined) this.#hear(rollout, newest)
    }
    this.#isCaughtUp = true
  }

  /** Throws what the log throws: what is held is not known then. */
  async readOrders(): Promise<void> {
    for (const record of await this.#orders.read()) {
      const order = this.#decoded(record, RolloutOrder)
      if (order !== undefined) this.#obey(order)
    }
  }

  #obey({ kind, version }: RolloutOrder): void {
    if (kind === RolloutOrderKind.ROLLOUT_ORDER_KIND_LIVE) this.#live = version
    else if (kind === RolloutOrderKind.ROLLOUT_ORDER_KIND_PIN) this.#pinned = version
    else if (kind === RolloutOrderKind.ROLLOUT_ORDER_KIND_UNPIN) this.#pinned = 0
  }

  #hear(rollout: Rollout, newest: number): void {
    const { version, state } = rollout
    if (REFUSALS.has(state)) this.#refuse(rollout, newest)
    // An operator promoted it after all.
    else if (USES.has(state)) this.#refused.delete(version)
  }

  /** Each server says it: the first one counts. */
  #refuse({ version, reason, server, orderedBy }: Rollout, newest: number): void {
    if (this.#refused.has(version)) return
    this.#refused.add(version)
    // A Set keeps the order of insertion: the first one is the oldest.
    if (this.#refused.size > MOST_REFUSED) this.#refused.delete(this.#refused.values().next().value!)
    if (!this.#isCaughtUp) return
    const by = orderedBy === '' ? 'serving' : 'operator'
    const { metrics, logger } = this.#parts
    metrics.versionsRefused.add({ by })
    // The weights stay what they are: what comes of them has to do better than what is live.
    logger.warn('serving refused a version', { version, by, server, reason, isTrainedOn: version === newest })
  }

  #decoded<T extends { readonly lineage: string; readonly schemaVersion: number }>(
    { topic, key, value, offset }: LogRecord,
    codec: { decode(bytes: Uint8Array): T },
  ): T | undefined {
    if (value === null) return undefined
    try {
      const message = codec.decode(value)
      return message.lineage === this.#parts.lineage && message.schemaVersion === 1 ? message : undefined
    } catch {
      this.#parts.logger.warn('not a record of its topic', { topic, key, offset })
      return undefined
    }
  }
}
