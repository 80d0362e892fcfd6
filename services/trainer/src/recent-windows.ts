import type { DraftRows } from '@plateau/inference'
import type { AcceptedRecord, RecordPlace } from './training-record.js'

/** The newest windows of an arm that is looked at but not trained on, bounded by positions and age. */
export class RecentWindows {
  readonly #maxPositions: number
  readonly #maxAgeMs: number
  #windows: AcceptedRecord[] = []

  constructor(maxPositions: number, maxAgeMs: number) {
    this.#maxPositions = maxPositions
    this.#maxAgeMs = maxAgeMs
  }

  push(window: AcceptedRecord): void {
    if (window.rows.length > 0) this.#windows.push(window)
    let positions = 0
    const first = this.#windows.findLastIndex(({ rows }) => (positions += rows.length) > this.#maxPositions)
    if (first >= 0) this.#windows = this.#windows.slice(first + 1)
  }

  drop(isForgotten: (window: AcceptedRecord) => boolean): void {
    this.#windows = this.#windows.filter((window) => !isForgotten(window))
  }

  get places(): RecordPlace[] {
    return this.#windows.map(({ place }) => place)
  }

  at(nowMs: number): DraftRows[] {
    return this.#windows.filter(({ capturedAtMs }) => nowMs - capturedAtMs <= this.#maxAgeMs).map(({ rows }) => rows)
  }
}

export function positionsOf(windows: readonly DraftRows[]): number {
  return windows.reduce((sum, { length }) => sum + length, 0)
}
