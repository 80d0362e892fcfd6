import { Acceptance, encodeHeaders, topics } from '@plateau/contracts'
import { untilAborted, type NewRecord, type Producer } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import { randomUUID } from 'node:crypto'
import type { AcceptanceLedger, LedgerEntry } from './acceptance-ledger.js'
import { splitDraftName } from './rollouts/draft-name.js'

export interface AcceptanceReporterOptions {
  readonly ledger: AcceptanceLedger
  readonly producer: Producer
  /** The server's first one. */
  readonly lineage: string
  readonly server: string
  readonly intervalMs: number
  readonly logger: Logger
  readonly clock: () => number
  /** The log did not say that it took the records; they are tried again. */
  readonly onFailure: () => void
}

/**
 * Publishes the ledger's deltas every interval, keyed by draft version. One report at a time; none is lost.
 *
 * Records that were tried stay as they are, `ce_id` and all, until the log has them: it may have taken them and not have
 * been able to say so. What is counted meanwhile goes into the next ones, so at most one interval's records wait.
 *
 *     open ──close──▶ closing (publishes what waits and the last interval, at most that long) ──▶ closed
 */
export class AcceptanceReporter {
  readonly #options: AcceptanceReporterOptions
  readonly #giveUp = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #fromMs: number
  #reporting: Promise<void> | undefined
  /** Not acknowledged yet. */
  #tried: readonly NewRecord[] = []

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

  /** The last interval is published too, if the log takes it within that time. */
  async close(withinMs: number): Promise<void> {
    clearInterval(this.#timer)
    const timer = setTimeout(() => this.#giveUp.abort(), withinMs)
    await this.#reporting
    await this.report()
    clearTimeout(timer)
  }

  async #publish(): Promise<void> {
    const { logger, onFailure } = this.#options
    try {
      await this.#send()
      this.#tried = this.#takeInterval()
      await this.#send()
    } catch (error) {
      onFailure()
      logger.warn('acceptance not reported yet', { records: this.#tried.length, error })
    }
  }

  async #send(): Promise<void> {
    if (this.#tried.length === 0) return
    await untilAborted(this.#options.producer.send(topics.acceptance.name, this.#tried), this.#giveUp.signal)
    this.#tried = []
  }

  #takeInterval(): NewRecord[] {
    const [fromMs, toMs] = [this.#fromMs, this.#options.clock()]
    this.#fromMs = toMs
    return this.#options.ledger.takeInterval().map((entry) => this.#record(entry, fromMs, toMs))
  }

  #record({ counts, draftVersion: name, tenant, domain }: LedgerEntry, fromMs: number, toMs: number): NewRecord {
    const { server } = this.#options
    const { lineage, version: draftVersion } = splitDraftName(name, this.#options.lineage)
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
