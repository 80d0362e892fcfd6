import { encodeHeaders, Rollout, topics, type RolloutState } from '@plateau/contracts'
import type { Producer } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import { randomUUID } from 'node:crypto'

export interface RolloutReporterOptions {
  readonly lineage: string
  /** Which serving process. */
  readonly server: string
  readonly producer: Producer
  readonly logger: Logger
  readonly clock: () => number
}

/** Says on the rollouts topic what happened to a version. A log that is down costs the record, never the swap. */
export class RolloutReporter {
  readonly #options: RolloutReporterOptions
  #sending: Promise<void> = Promise.resolve()

  constructor(options: RolloutReporterOptions) {
    this.#options = options
  }

  report(version: number, state: RolloutState, reason: string, swapMs = 0): void {
    const { lineage, server, clock } = this.#options
    const atMs = clock()
    const rollout: Rollout = {
      schemaVersion: 1,
      lineage,
      version,
      state,
      reason,
      server,
      atMs,
      swapMs: Math.round(swapMs),
    }
    // One after another: the states of a version must appear in their order.
    this.#sending = this.#sending.then(() => this.#send(rollout))
  }

  flush(): Promise<void> {
    return this.#sending
  }

  async #send(rollout: Rollout): Promise<void> {
    const { producer, lineage, logger } = this.#options
    const { name, messageType } = topics.rollouts
    const headers = encodeHeaders({
      id: randomUUID(),
      source: '/plateau/serving',
      type: messageType,
      timeMs: rollout.atMs,
      subject: lineage,
    })
    try {
      await producer.send(name, [{ key: lineage, value: Rollout.encode(rollout).finish(), headers }])
    } catch (error) {
      logger.warn('rollout not recorded', { version: rollout.version, error })
    }
  }
}
