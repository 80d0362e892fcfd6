import type { LogRecord } from '@plateau/event-log'
import type { ExportedWindow } from './exported-window.js'
import type { CoveredRange } from './file-names.js'

/** The windows of one partition on their way into its next file, and the offsets that they stand for. */
export class PartitionBuffer {
  readonly partition: number
  windows: ExportedWindow[] = []
  /** How many rows they make. */
  rows = 0
  /** Encoded size of their records. */
  bytes = 0
  /** When the oldest came in. */
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

  /** The record counts as covered, whether it is worth a row or not. */
  cover({ offset }: LogRecord): void {
    this.#next = offset + 1
  }

  add(window: ExportedWindow, rows: number, bytes: number, nowMs: number): void {
    if (this.windows.length === 0) this.sinceMs = nowMs
    this.windows.push(window)
    this.rows += rows
    this.bytes += bytes
  }

  /** What the next file covers; undefined while there is nothing for it. */
  get range(): CoveredRange | undefined {
    if (this.windows.length === 0) return undefined
    return { partition: this.partition, first: this.#first, last: this.#next - 1 }
  }

  /** After they are in a file. */
  clear(): void {
    this.windows = []
    this.rows = 0
    this.bytes = 0
    this.#first = this.#next
  }
}
