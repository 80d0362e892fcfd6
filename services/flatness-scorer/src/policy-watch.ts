import { messageOf, SelectionPolicy as PolicyRecord, topics } from '@plateau/contracts'
import type { EventLog, LogRecord, Reader } from '@plateau/event-log'
import { policyName, ruleName, selectionPolicy, type SelectionPolicy } from '@plateau/flatness'
import type { Logger } from '@plateau/telemetry'
import type { ScorerMetrics } from './metrics.js'

export interface PolicyWatchOptions {
  readonly log: EventLog
  readonly lineage: string
  /** In force until the topic names another one, and again when the topic's is removed. */
  readonly configured: SelectionPolicy
  readonly logger: Logger
  readonly metrics: Pick<ScorerMetrics, 'policyUpdates'>
}

const SCHEMA_VERSION = 1

/** Follows the compacted selection-policy topic: the newest valid record of the lineage is the policy in force. */
export class PolicyWatch {
  readonly #options: PolicyWatchOptions
  readonly #reader: Reader
  #current: SelectionPolicy

  constructor(options: PolicyWatchOptions) {
    this.#options = options
    this.#current = options.configured
    this.#reader = options.log.reader({ topic: topics.selectionPolicy.name, from: 'earliest' })
  }

  get current(): SelectionPolicy {
    return this.#current
  }

  /** Resolves when the policies that were in the topic at the start are known. */
  get caughtUp(): Promise<void> {
    return this.#reader.caughtUp
  }

  /** Resolves after `close`. */
  async run(): Promise<void> {
    for await (const batch of this.#reader) {
      for (const record of batch.records) if (record.key === this.#options.lineage) this.#take(record)
    }
  }

  close(): Promise<void> {
    return this.#reader.close()
  }

  #take(record: LogRecord): void {
    const { logger, metrics, configured, lineage } = this.#options
    const facts = { lineage, topic: record.topic, partition: record.partition, offset: record.offset }
    try {
      this.#current = record.value === null ? configured : policyOf(record.value)
      metrics.policyUpdates.add({ result: 'applied' })
      const { closedFormWeight, trials } = this.#current
      const applied = { policy: policyName(this.#current), closedFormWeight, trials: trials.map(ruleName) }
      logger.info('selection policy applied', { ...facts, ...applied })
    } catch (error) {
      // A bad update must not stop scoring: the policy before it stays.
      metrics.policyUpdates.add({ result: 'refused' })
      logger.warn('selection policy refused', { ...facts, why: messageOf(error), policy: policyName(this.#current) })
    }
  }
}

function policyOf(value: Uint8Array): SelectionPolicy {
  const record = PolicyRecord.decode(value)
  if (record.schemaVersion !== SCHEMA_VERSION) {
    throw new RangeError(`schema version ${record.schemaVersion}; this scorer knows ${SCHEMA_VERSION}`)
  }
  return selectionPolicy(record)
}
