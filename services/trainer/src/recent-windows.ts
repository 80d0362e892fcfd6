import type { DraftRows } from '@plateau/inference'
import type { RecordPlace } from './training-record.js'

export interface RecentWindow {
  readonly place: RecordPlace
  readonly rows: DraftRows
  readonly capturedAtMs: number
}

/** The newest windows of an arm that is looked at but not trained on, bounded by positions and age. */
export class RecentWindows {
  readonly #maxPositions: number
  readonly #maxAgeMs: number
  #windows: RecentWindow[] = []

  constructor(maxPositions: number, maxAgeMs: number) {
    this.#maxPositions = maxPositions
    this.#maxAgeMs = maxAgeMs
  }

  push(window: RecentWindow): void {
    if (window.rows.length > 0) this.#windows.push(window)
    let positions = 0
    const first = this.#windows.findLastIndex(({ rows }) => (positions += rows.length) > this.#maxPositions)
    if (first >= 0) this.#windows = this.#windows.slice(first + 1)
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
