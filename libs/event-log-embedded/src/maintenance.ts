import { randomUUID } from 'node:crypto'
import type { StatementSync } from 'node:sqlite'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { isBusy } from './log-errors.js'
import type { Database } from './database.js'
import { type CleaningOptions, TopicCleaner } from './topic-cleaner.js'
import type { StoredTopic } from './topic-differences.js'
import type { TopicRegistry } from './topic-registry.js'
import type { TopicStore } from './topic-store.js'

const LEASE = 'maintenance'
const LEASE_MS = 10_000

export interface MaintenanceParts {
  readonly control: Database
  readonly registry: TopicRegistry
  readonly storeOf: (topic: string) => TopicStore
  readonly nowMs: () => number
}

export interface MaintenanceOptions extends CleaningOptions {
  readonly intervalMs: number
  readonly onError: (thrown: unknown) => void
}

/**
 * Applies retention and compaction in the background, in one process at a time: whoever holds the lease. When that
 * process dies, another takes it over after the lease has run out.
 */
export class Maintenance {
  readonly #parts: MaintenanceParts
  readonly #options: MaintenanceOptions
  readonly #holder = randomUUID()
  readonly #cleaners = new Map<string, TopicCleaner>()
  readonly #timer: NodeJS.Timeout
  readonly #readLease: StatementSync
  readonly #takeLease: StatementSync
  readonly #dropLease: StatementSync
  #round: Promise<void> | undefined
  #isStopped = false

  constructor(parts: MaintenanceParts, options: MaintenanceOptions) {
    this.#parts = parts
    this.#options = options
    this.#readLease = parts.control.prepare('SELECT holder, expires_at_ms FROM leases WHERE name = ?')
    this.#takeLease = parts.control.prepare('INSERT OR REPLACE INTO leases VALUES (?, ?, ?)')
    this.#dropLease = parts.control.prepare('DELETE FROM leases WHERE name = ? AND holder = ?')
    this.#timer = setInterval(() => {
      this.#round ??= this.#clean().finally(() => (this.#round = undefined))
    }, options.intervalMs)
    this.#timer.unref()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearInterval(this.#timer)
    await this.#round
    this.#attempt(() => this.#parts.control.transact(() => this.#dropLease.run(LEASE, this.#holder)))
  }

  async #clean(): Promise<void> {
    const topics = this.#attempt(() => (this.#holdsLease() ? this.#parts.registry.all() : []))
    for (const topic of topics ?? []) {
      // One slice a turn: the process has better things to do in between.
      while (this.#attempt(() => this.#holdsLease() && this.#slice(topic)) === true) await nextTurn()
      this.#attempt(() => this.#parts.storeOf(topic.name).database.boundWal())
    }
  }

  #slice(topic: StoredTopic): boolean {
    return this.#cleanerOf(topic.name).slice(topic, this.#parts.nowMs())
  }

  /** Housekeeping that failed is tried again next time. A lock is nothing to speak of; anything else is. */
  #attempt<T>(work: () => T): T | undefined {
    try {
      return work()
    } catch (thrown) {
      if (!isBusy(thrown)) this.#options.onError(thrown)
      return undefined
    }
  }

  #holdsLease(): boolean {
    if (this.#isStopped) return false
    const now = this.#parts.nowMs()
    const lease = this.#readLease.get(LEASE)
    const isMine = lease?.['holder'] === this.#holder
    const leftMs = Number(lease?.['expires_at_ms'] ?? 0) - now
    if (isMine && leftMs > LEASE_MS / 2) return true
    // A lease from the future is of a clock that was set back.
    if (lease !== undefined && !isMine && leftMs > 0 && leftMs <= LEASE_MS) return false
    return this.#parts.control.transact(() => {
      const current = this.#readLease.get(LEASE)
      if (current?.['holder'] !== lease?.['holder']) return false
      this.#takeLease.run(LEASE, this.#holder, now + LEASE_MS)
      return true
    })
  }

  #cleanerOf(topic: string): TopicCleaner {
    let cleaner = this.#cleaners.get(topic)
    if (cleaner === undefined) {
      cleaner = new TopicCleaner(this.#parts.storeOf(topic), this.#options)
      this.#cleaners.set(topic, cleaner)
    }
    return cleaner
  }
}
