import { decodeHeaders, DraftCheckpoint, messageOf, PlateauError, RolloutState, topics } from '@plateau/contracts'
import type { EventLog, LogRecord, Reader } from '@plateau/event-log'
import type { Draft } from '@plateau/speculation'
import type { Logger } from '@plateau/telemetry'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DraftHolder } from './draft-holder.js'

export interface DraftWatcherOptions {
  readonly lineage: string
  readonly eventLog: EventLog
  readonly holder: DraftHolder
  /** Verifies the announced checkpoint and builds its draft beside the live one. Throws when it may not be served. */
  readonly load: (announced: DraftCheckpoint, minVersion: number) => Promise<Draft>
  /** Tells the world; must not throw. */
  readonly report: (version: number, state: RolloutState, reason: string, swapMs?: number) => void
  /** A record that is not an announcement, or a version that was refused. */
  readonly onRejected: () => void
  readonly logger: Logger
  readonly clock: () => number
}

/** Tries at a checkpoint whose failure may pass (a store that is slow or down), with growing pauses. */
const TRIES = 4
const FIRST_RETRY_MS = 200

/**
 * Follows the lineage's announcements. The topic is compacted, so a restart finds the newest one there. Versions are
 * loaded one at a time and the newest announcement wins: what was announced meanwhile and is outdated is never loaded.
 * Whatever goes wrong with a version, the one that is live stays.
 */
export class DraftWatcher {
  readonly #options: DraftWatcherOptions
  readonly #stop = new AbortController()
  #reader: Reader | undefined
  #newest: { readonly announced: DraftCheckpoint; readonly arrivedMs: number } | undefined
  #refusedVersion = 0
  #loading: Promise<void> | undefined

  constructor(options: DraftWatcherOptions) {
    this.#options = options
  }

  /** Runs until `close`. Rejects when the log cannot be read any more. */
  async run(): Promise<void> {
    this.#reader = this.#options.eventLog.reader({ topic: topics.draftCheckpoints.name, from: 'earliest' })
    for await (const { records } of this.#reader) {
      const announced = records.map((record) => this.#decode(record)).findLast((found) => found !== undefined)
      if (announced !== undefined) this.#announced(announced)
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

  #decode(record: LogRecord): DraftCheckpoint | undefined {
    const { logger, onRejected, lineage } = this.#options
    if (record.key !== lineage || record.value === null) return undefined
    try {
      if (decodeHeaders(record.headers)?.type !== topics.draftCheckpoints.messageType) {
        throw new TypeError(`its headers do not say that it is a ${topics.draftCheckpoints.messageType}`)
      }
      const announced = DraftCheckpoint.decode(record.value)
      if (announced.schemaVersion !== 1) throw new TypeError(`it has schema version ${announced.schemaVersion}`)
      if (announced.lineage !== lineage) throw new TypeError(`it is of lineage ${JSON.stringify(announced.lineage)}`)
      return announced
    } catch (error) {
      const { topic, partition, offset } = record
      logger.error('announcement cannot be used', { topic, partition, offset, error })
      onRejected()
      return undefined
    }
  }

  #announced(announced: DraftCheckpoint): void {
    // Delivery is at least once: what is live or was refused already is not news.
    if (announced.version <= this.#options.holder.liveVersion || announced.version === this.#refusedVersion) return
    this.#newest = { announced, arrivedMs: this.#options.clock() }
    this.#loading ??= this.#loadNewest().finally(() => {
      this.#loading = undefined
    })
  }

  async #loadNewest(): Promise<void> {
    while (this.#newest !== undefined && !this.#stop.signal.aborted) {
      const { announced, arrivedMs } = this.#newest
      this.#newest = undefined
      await this.#bringLive(announced, arrivedMs)
    }
  }

  async #bringLive(announced: DraftCheckpoint, arrivedMs: number): Promise<void> {
    const { holder, report, logger, clock, onRejected } = this.#options
    const { version } = announced
    report(version, RolloutState.ROLLOUT_STATE_ANNOUNCED, 'its files are being checked')
    try {
      const draft = await this.#loadWithRetries(announced)
      report(version, RolloutState.ROLLOUT_STATE_VERIFIED, 'signature, digests, target, tokenizer and shapes match')
      const replaced = holder.liveVersion
      holder.swap(draft, version)
      const swapMs = clock() - arrivedMs
      if (replaced > 0) report(replaced, RolloutState.ROLLOUT_STATE_REPLACED, `version ${version} took its place`)
      report(version, RolloutState.ROLLOUT_STATE_LIVE, 'new requests use it', swapMs)
      logger.info('draft swapped', { version, replaced, swapMs })
    } catch (error) {
      if (this.#stop.signal.aborted) return
      this.#refusedVersion = version
      onRejected()
      const code = error instanceof PlateauError ? `${error.code}: ` : ''
      report(version, RolloutState.ROLLOUT_STATE_REJECTED, `${code}${messageOf(error)}`)
      logger.error('draft refused', { version, live: holder.liveVersion, error })
    }
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
