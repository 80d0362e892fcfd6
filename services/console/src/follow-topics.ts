import { PlateauError, type TopicSpec } from '@plateau/contracts'
import type { EventLog, LogRecord, PartitionOffset, Reader } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SourceStatus } from './pages/layout.js'

export interface FollowOptions {
  readonly log: EventLog
  readonly topics: readonly Pick<TopicSpec, 'name'>[]
  readonly onRecord: (record: LogRecord) => void
  /** A topic can be read, or no longer. */
  readonly onStatus: () => void
  readonly logger: Logger
  readonly clock: () => number
  /** Between two tries at a topic that cannot be read. Default 1000. */
  readonly retryMs?: number
}

type Problem = SourceStatus['problems'][number]

/**
 * Reads topics from their beginning and follows them, outside any group: it commits nothing and creates nothing. A topic that is
 * not there, or a log that is away, is asked again until `close`; reading goes on where it was.
 *
 *     reading ──caught up──▶ (no problem) ──failure──▶ missing | away ──next try──▶ reading
 */
export class TopicFollower {
  readonly #options: FollowOptions
  readonly #stop = new AbortController()
  readonly #readers = new Set<Reader>()
  readonly #problems = new Map<string, Problem>()

  constructor(options: FollowOptions) {
    this.#options = options
    const sinceMs = options.clock()
    for (const { name } of options.topics) this.#problems.set(name, { topic: name, what: 'reading', sinceMs })
  }

  problems(): readonly Problem[] {
    return [...this.#problems.values()]
  }

  /** Resolves after `close`. Does not reject. */
  async run(): Promise<void> {
    await Promise.all(this.#options.topics.map(({ name }) => this.#follow(name)))
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.all([...this.#readers].map((reader) => reader.close()))
  }

  async #follow(topic: string): Promise<void> {
    const { logger, retryMs = 1000 } = this.#options
    const { signal } = this.#stop
    const offsets = new Map<number, number>()
    while (!signal.aborted) {
      try {
        await this.#read(topic, offsets)
      } catch (error) {
        if (signal.aborted) return
        const isMissing = error instanceof PlateauError && error.code === 'UNKNOWN_TOPIC'
        const isNews = this.#note(topic, isMissing ? 'missing' : 'away')
        if (isNews) logger.warn('topic cannot be read, trying again', { topic, error })
        await sleep(retryMs, undefined, { signal }).catch(() => {})
      }
    }
  }

  async #read(topic: string, offsets: Map<number, number>): Promise<void> {
    const from: PartitionOffset[] = [...offsets].map(([partition, offset]) => ({ partition, offset }))
    const reader = this.#options.log.reader({ topic, from: from.length === 0 ? 'earliest' : from })
    this.#readers.add(reader)
    void reader.caughtUp.then(
      () => this.#settle(topic),
      () => {},
    )
    try {
      for await (const { partition, records } of reader) {
        for (const record of records) this.#options.onRecord(record)
        offsets.set(partition, records.at(-1)!.offset + 1)
      }
    } finally {
      this.#readers.delete(reader)
      await reader.close()
    }
  }

  #settle(topic: string): void {
    if (this.#problems.delete(topic)) this.#options.onStatus()
  }

  /** True when it was another one before. */
  #note(topic: string, what: Problem['what']): boolean {
    if (this.#problems.get(topic)?.what === what) return false
    this.#problems.set(topic, { topic, what, sinceMs: this.#options.clock() })
    this.#options.onStatus()
    return true
  }
}
