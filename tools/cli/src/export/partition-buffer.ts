import type { LogRecord } from '@plateau/event-log'
import type { CoveredRange } from './file-names.js'

/** The rows of one partition on their way into its next file, and the offsets that they stand for. */
export class PartitionBuffer {
  readonly partition: number
  rows: unknown[] = []
  /** Encoded size of the records behind the rows. */
  bytes = 0
  /** When the oldest row came in. */
  sinceMs = 0
  #first: number
  #next: number

  constructor(partition: number, firstOffset: number) {
    this.partition = partition
    this.#first = firstOffset
    this.#next = firstOffset
  }

  /** One past the last record that was looked at. */
  get nextOffset(): number {
    return this.#next
  }

  /** The record counts as covered, whether it is worth rows or not. */
  cover({ offset }: LogRecord): void {
    this.#next = offset + 1
  }

  add(rows: readonly unknown[], bytes: number, nowMs: number): void {
    if (this.rows.length === 0) this.sinceMs = nowMs
    // One at a time: a window can have more tokens than a call can have arguments.
    for (const row of rows) this.rows.push(row)
    this.bytes += bytes
  }

  /** What the next file covers; undefined while there are no rows for it. */
  get range(): CoveredRange | undefined {
    if (this.rows.length === 0) return undefined
    return { partition: this.partition, first: this.#first, last: this.#next - 1 }
  }

  /** After its rows are in a file. */
  clear(): void {
    this.rows = []
    this.bytes = 0
    this.#first = this.#next
  }
}
