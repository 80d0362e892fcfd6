import { decodeHeaders, DraftCheckpoint, messageOf, PlateauError, RolloutState, topics } from '@plateau/contracts'
import type { EventLog, LogRecord, Reader } from '@plateau/event-log'
import type { Draft } from '@plateau/speculation'
import { messagingAttributes, startMessageSpan, type Logger } from '@plateau/telemetry'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DraftHolder } from './draft-holder.js'
import type { RolloutDetails } from './rollout-reporter.js'

export interface DraftWatcherOptions {
  readonly lineage: string
  readonly eventLog: EventLog
  readonly holder: DraftHolder
  /** Verifies the announced checkpoint and builds its draft beside the live one. Throws when it may not be served. */
  readonly load: (announced: DraftCheckpoint, minVersion: number) => Promise<Draft>
  /** Tells the world; must not throw. */
  readonly report: (version: number, state: RolloutState, reason: string, details: RolloutDetails) => void
  /** A record that is not an announcement, or a version that was refused. */
  readonly onRejected: () => void
  readonly logger: Logger
  readonly clock: () => number
}

/** Tries at a checkpoint whose failure may pass (a store that is slow or down), with growing pauses. */
const TRIES = 4
const FIRST_RETRY_MS = 200
/** Between two tries at a log that cannot be read. */
const REOPEN_MS = 1000

interface Announcement {
  readonly announced: DraftCheckpoint
  readonly arrivedMs: number
  /** Of the span that published it. */
  readonly traceparent: string | undefined
}

/**
 * Follows the lineage's announcements. The topic is compacted, so a restart finds the newest one there. Versions are
 * loaded one at a time and the newest announcement wins: what was announced meanwhile and is outdated is never loaded.
 * Whatever goes wrong with a version, the one that is live stays; so it does while the log is away, which is asked again.
 */
export class DraftWatcher {
  readonly #options: DraftWatcherOptions
  readonly #stop = new AbortController()
  #reader: Reader | undefined
  #newest: Announcement | undefined
  #refusedVersion = 0
  #loading: Promise<void> | undefined

  constructor(options: DraftWatcherOptions) {
    this.#options = options
  }

  /** Runs until `close`. Rejects when the log cannot be read, and trying again cannot help. */
  async run(): Promise<void> {
    const { logger } = this.#options
    while (!this.#stop.signal.aborted) {
      try {
        await this.#follow()
      } catch (error) {
        if (this.#stop.signal.aborted) return
        if (!(error instanceof PlateauError && error.retryable)) throw error
        logger.warn('announcements cannot be read, trying again', { error })
        await sleep(REOPEN_MS, undefined, { signal: this.#stop.signal }).catch(() => {})
      }
    }
  }

  /** From the beginning: the topic is small, and what is known is passed over. */
  async #follow(): Promise<void> {
    this.#reader = this.#options.eventLog.reader({ topic: topics.draftCheckpoints.name, from: 'earliest' })
    for await (const { records } of this.#reader) {
      const announcement = records.map((record) => this.#decode(record)).findLast((found) => found !== undefined)
      if (announcement !== undefined) this.#announced(announcement)
    }
  }

  /** Resolves when no version is being loaded any more. */
  async idle(): Promise<void> {
    while (this.#loading !== undefined) await this.#loading
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#reader?.close()
    await this.idle()
  }

  #decode(record: LogRecord): Announcement | undefined {
    const { logger, onRejected, lineage, clock } = this.#options
    if (record.key !== lineage || record.value === null) return undefined
    try {
      const headers = decodeHeaders(record.headers)
      if (headers?.type !== topics.draftCheckpoints.messageType) {
        throw new TypeError(`its headers do not say that it is a ${topics.draftCheckpoints.messageType}`)
      }
      const announced = DraftCheckpoint.decode(record.value)
      if (announced.schemaVersion !== 1) throw new TypeError(`it has schema version ${announced.schemaVersion}`)
      if (announced.lineage !== lineage) throw new TypeError(`it is of lineage ${JSON.stringify(announced.lineage)}`)
      return { announced, arrivedMs: clock(), traceparent: headers.traceparent }
    } catch (error) {
      const { topic, partition, offset } = record
      logger.error('announcement cannot be used', { topic, partition, offset, error })
      onRejected()
      return undefined
    }
  }

  #announced(announcement: Announcement): void {
    if (this.#stop.signal.aborted) return
    const { announced } = announcement
    // Delivery is at least once: what is live or was refused already is not news.
    if (announced.version <= this.#options.holder.liveVersion || announced.version === this.#refusedVersion) return
    this.#newest = announcement
    this.#loading ??= this.#loadNewest()
  }

  async #loadNewest(): Promise<void> {
    while (this.#newest !== undefined && !this.#stop.signal.aborted) {
      const announcement = this.#newest
      this.#newest = undefined
      await this.#bringLive(announcement)
    }
    // In the same turn as the last look: an announcement that comes later starts anew.
    this.#loading = undefined
  }

  /** The swap continues the trace of what the version was trained on. */
  async #bringLive({ announced, arrivedMs, traceparent }: Announcement): Promise<void> {
    const { version } = announced
    const span = startMessageSpan('swap draft', {
      kind: 'consumer',
      parent: traceparent,
      attributes: {
        ...messagingAttributes('process', topics.draftCheckpoints.name),
        'plateau.draft.version': String(version),
      },
    })
    const details = { traceparent: span.traceparent }
    try {
      await span.run(() => this.#swap(announced, arrivedMs, details))
    } catch (error) {
      span.end(error)
      if (!this.#stop.signal.aborted) this.#refuse(version, error, details)
    } finally {
      span.end()
    }
  }

  async #swap(announced: DraftCheckpoint, arrivedMs: number, details: RolloutDetails): Promise<void> {
    const { holder, report, logger, clock } = this.#options
    const { version } = announced
    report(version, RolloutState.ROLLOUT_STATE_ANNOUNCED, 'its files are being checked', details)
    const draft = await this.#loadWithRetries(announced)
    const matches = 'signature, digests, target, tokenizer and shapes match'
    report(version, RolloutState.ROLLOUT_STATE_VERIFIED, matches, details)
    const replaced = holder.liveVersion
    holder.swap(draft, version)
    const swapMs = clock() - arrivedMs
    const successor = `version ${version} took its place`
    if (replaced > 0) report(replaced, RolloutState.ROLLOUT_STATE_REPLACED, successor, details)
    report(version, RolloutState.ROLLOUT_STATE_LIVE, 'new requests use it', { ...details, swapMs })
    logger.info('draft swapped', { version, replaced, swapMs })
  }

  #refuse(version: number, error: unknown, details: RolloutDetails): void {
    const { holder, report, logger, onRejected } = this.#options
    this.#refusedVersion = version
    onRejected()
    const code = error instanceof PlateauError ? `${error.code}: ` : ''
    report(version, RolloutState.ROLLOUT_STATE_REJECTED, `${code}${messageOf(error)}`, details)
    logger.error('draft refused', { version, live: holder.liveVersion, error })
  }

  async #loadWithRetries(announced: DraftCheckpoint): Promise<Draft> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#options.load(announced, this.#options.holder.liveVersion + 1)
      } catch (error) {
        const passing = error instanceof PlateauError && error.retryable
        if (!passing || attempt === TRIES || this.#newest !== undefined) throw error
        await sleep(FIRST_RETRY_MS * 2 ** attempt, undefined, { signal: this.#stop.signal })
      }
    }
  }
}
