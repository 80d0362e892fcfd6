import { readUpToNow, type EventLog, type LogRecord } from '@plateau/event-log'
import { within } from './retry-later.js'

const ANSWER_MS = 5000

/** A topic of one partition, read on from where it was read last. */
export class TopicTail {
  readonly #log: EventLog
  readonly #topic: string
  #nextOffset: number

  constructor(log: EventLog, topic: string, nextOffset = 0) {
    this.#log = log
    this.#topic = topic
    this.#nextOffset = nextOffset
  }

  get nextOffset(): number {
    return this.#nextOffset
  }

  /** What came since the last time. Throws what the log throws: all of it comes again with the next try. */
  async read(): Promise<LogRecord[]> {
    const [range] = await within(ANSWER_MS, this.#log.offsets(this.#topic))
    if (range === undefined || range.next === this.#nextOffset) return []
    // Beyond the end: the topic was begun again. What it says is true whenever it is read.
    const offset = this.#nextOffset > range.next ? 0 : this.#nextOffset
    const found: LogRecord[] = []
    const reader = this.#log.reader({ topic: this.#topic, from: [{ partition: 0, offset }] })
    for await (const { records } of readUpToNow(reader)) found.push(...records)
    // Only now: where reading broke off, all of it is read again, and nothing is passed over.
    this.#nextOffset = Math.max(range.next, (found.at(-1)?.offset ?? 0) + 1)
    return found
  }
}
