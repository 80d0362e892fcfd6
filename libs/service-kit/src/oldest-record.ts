import type { PartitionLag } from '@plateau/event-log'

interface Seen {
  /** The log's end, and when it was first there. */
  readonly next: number
  readonly atMs: number
}

const MOST_SEEN = 1024

/**
 * How long the oldest record that a group has not committed has waited in one partition, from looks at its offsets: a record
 * lies before the end that the log had some time ago. Exact to the time between two looks, and at least the truth's part
 * since the first one.
 */
export class OldestRecord {
  #seen: Seen[] = []

  /** Milliseconds; 0 when nothing waits. */
  look({ records, next }: Pick<PartitionLag, 'records' | 'next'>, nowMs: number): number {
    const committed = next - records
    const end = this.#seen.at(-1)
    if (end === undefined || next > end.next) this.#seen.push({ next, atMs: nowMs })
    this.#seen = this.#seen.filter((seen) => seen.next > committed)
    // Half of them say nearly as much.
    if (this.#seen.length > MOST_SEEN) this.#seen = this.#seen.filter((_, i) => i % 2 === 0)
    const [oldest] = this.#seen
    return records === 0 || oldest === undefined ? 0 : Math.max(0, nowMs - oldest.atMs)
  }
}
