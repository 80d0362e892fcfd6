import type { DraftRows } from '@plateau/inference'
import { positionsOf, RecentWindows } from './recent-windows.js'
import type { Snapshot } from './snapshot.js'
import type { AcceptedRecord, Purpose } from './training-record.js'

export interface HeldBackOptions {
  readonly evaluationPositions: number
  readonly evaluationMaxAgeMs: number
  /** Positions that wait to be trained on until versions were compared on them; 0 = none. Default 512. */
  readonly testFirstPositions?: number
}

/** Fewer do not tell one draft from another. */
export const LEAST_COMPARED_POSITIONS = 96
/** One scalar is fitted on them, several times per solution: few do. */
const CALIBRATION_POSITIONS = 384
const TEST_FIRST = 512
/** At the start fewer wait: at most this share of the positions so far. */
const TEST_FIRST_SHARE = 0.25
/** When nothing newer comes, windows wait this long. */
const TEST_FIRST_MS = 10_000

/** Windows that no draft has been trained on. */
export interface ComparedWindows {
  /** What drafts are compared on. */
  readonly unseen: readonly DraftRows[]
  /** What single numbers of a draft are fitted on. */
  readonly calibration: readonly DraftRows[]
}

/** Positions, of all three sorts. */
export function mostHeldBack({ evaluationPositions, testFirstPositions = TEST_FIRST }: HeldBackOptions): number {
  return evaluationPositions + CALIBRATION_POSITIONS + testFirstPositions
}

/** A window that versions are still compared on. */
interface WaitingWindow extends AcceptedRecord {
  readonly arrivedMs: number
}

/**
 * Windows that no version has been trained on.
 *
 * What versions are compared on: the evaluation arm, which is never trained on; and the newest training windows, which
 * are tested on first and trained on only when newer ones take their place. The arm alone would be a fair judge but a
 * slow one: at 5 % of little traffic it takes minutes to notice a shift that everybody else sees.
 */
export class HeldBack {
  readonly #testFirstPositions: number
  readonly #heldOut: RecentWindows
  readonly #calibration: RecentWindows
  #waiting: WaitingWindow[] = []

  constructor({ evaluationPositions, evaluationMaxAgeMs, testFirstPositions = TEST_FIRST }: HeldBackOptions) {
    this.#testFirstPositions = testFirstPositions
    this.#heldOut = new RecentWindows(evaluationPositions, evaluationMaxAgeMs)
    this.#calibration = new RecentWindows(CALIBRATION_POSITIONS, Infinity)
  }

  push(purpose: Purpose, window: AcceptedRecord, nowMs: number): void {
    switch (purpose) {
      case 'held-out':
        return this.#heldOut.push(window)
      case 'calibration':
        return this.#calibration.push(window)
      case 'training':
        this.#waiting.push({ ...window, arrivedMs: nowMs })
    }
  }

  /** What versions are compared on. */
  unseen(nowMs: number): DraftRows[] {
    return [...this.#heldOut.at(nowMs), ...this.#waiting.map(({ rows }) => rows)]
  }

  calibration(nowMs: number): DraftRows[] {
    return this.#calibration.at(nowMs)
  }

  /** Gives up the windows that have been tested on long enough: they are trained on from now on. */
  admit(trainedPositions: number, nowMs: number): AcceptedRecord[] {
    let positions = positionsOf(this.#waiting.map(({ rows }) => rows))
    const most = Math.min(this.#testFirstPositions, TEST_FIRST_SHARE * (trainedPositions + positions))
    let admitted = 0
    for (const { rows, arrivedMs } of this.#waiting) {
      if (positions <= most && arrivedMs > nowMs - TEST_FIRST_MS) break
      positions -= rows.length
      admitted++
    }
    return this.#waiting.splice(0, admitted)
  }

  drop(isForgotten: (window: AcceptedRecord) => boolean): void {
    this.#heldOut.drop(isForgotten)
    this.#calibration.drop(isForgotten)
    this.#waiting = this.#waiting.filter((window) => !isForgotten(window))
  }

  get places(): Pick<Snapshot, 'heldOut' | 'calibration' | 'waiting'> {
    return {
      heldOut: this.#heldOut.places,
      calibration: this.#calibration.places,
      waiting: this.#waiting.map(({ place }) => place),
    }
  }
}
