import { Acceptance, encodeHeaders, topics } from '@plateau/contracts'
import type { NewRecord, Producer } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import { randomUUID } from 'node:crypto'
import type { AcceptanceLedger, LedgerEntry } from './acceptance-ledger.js'

export interface AcceptanceReporterOptions {
  readonly ledger: AcceptanceLedger
  readonly producer: Producer
  readonly lineage: string
  readonly server: string
  readonly intervalMs: number
  readonly logger: Logger
  readonly clock: () => number
  /** The log took no records; they are kept for the next interval. */
  readonly onFailure: () => void
}

/** Publishes the ledger's deltas every interval, keyed by draft version. One report at a time; none is lost. */
export class AcceptanceReporter {
  readonly #options: AcceptanceReporterOptions
  #timer: NodeJS.Timeout | undefined
  #fromMs: number
  #reporting: Promise<void> | undefined

  constructor(options: AcceptanceReporterOptions) {
    this.#options = options
    this.#fromMs = options.clock()
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.report(), this.#options.intervalMs)
  }

  /** Publishes what was counted since the last report. A report that is still under way is waited for instead. */
  report(): Promise<void> {
    this.#reporting ??= this.#publish().finally(() => {
      this.#reporting = undefined
    })
    return this.#reporting
  }

  /** The last interval is published too. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#reporting
    await this.report()
  }

  async #publish(): Promise<void> {
    const { ledger, producer, clock, logger, onFailure } = this.#options
    const entries = ledger.takeInterval()
    const toMs = clock()
    if (entries.length === 0) {
      this.#fromMs = toMs
      return
    }
    try {
      const records = entries.map((entry) => this.#record(entry, this.#fromMs, toMs))
      await producer.send(topics.acceptance.name, records)
      this.#fromMs = toMs
    } catch (error) {
      ledger.putBack(entries)
      onFailure()
      logger.warn('acceptance not reported', { entries: entries.length, error })
    }
  }

  #record({ counts, draftVersion, tenant, domain }: LedgerEntry, fromMs: number, toMs: number): NewRecord {
    const { lineage, server } = this.#options
    const about = { schemaVersion: 1, server, lineage, draftVersion, tenant, domain, fromMs, toMs }
    const headers = encodeHeaders({
      id: randomUUID(),
      source: '/plateau/serving',
      type: topics.acceptance.messageType,
      timeMs: toMs,
      subject: draftVersion,
    })
    return { key: draftVersion, value: Acceptance.encode({ ...about, ...counts }).finish(), headers }
  }
}
