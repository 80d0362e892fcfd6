export interface SolveOptions {
  /** New positions after which the closed form is solved for the first time. Default 512. */
  readonly firstSolvePositions?: number
}

/** The closed form is solved again when this share of its positions is new, within these bounds. */
const SOLVE_SHARE = 0.12
const MOST_NEW_POSITIONS = 3072
/** Few new positions wait at most this long. */
const SOLVE_AFTER_MS = 5000
const LEAST_NEW_POSITIONS = 192
/** At most this share of the time goes into solving: behind a backlog, or on a busy machine, new windows come first. */
const MOST_SOLVE_SHARE = 0.3

/** When the closed form is worth solving again. */
export class SolveSchedule {
  readonly #firstSolvePositions: number
  #isSolved: boolean
  #newPositions = 0
  #endedAtMs = Number.NEGATIVE_INFINITY
  #tookMs = 0

  /** `isSolved`: there is a solution from an earlier life of this process. */
  constructor({ firstSolvePositions = 512 }: SolveOptions, isSolved: boolean) {
    this.#firstSolvePositions = firstSolvePositions
    this.#isSolved = isSolved
  }

  /** New positions went into the sums. */
  add(positions: number): void {
    this.#newPositions += positions
  }

  /** `positions`: in the sums, over the lineage's life. */
  isDue(positions: number, nowMs: number): boolean {
    if (!this.#isSolved) return this.#newPositions >= this.#firstSolvePositions
    const waitedMs = nowMs - this.#endedAtMs
    if (waitedMs < this.#tookMs * (1 / MOST_SOLVE_SHARE - 1)) return false
    const enough = Math.min(MOST_NEW_POSITIONS, Math.max(this.#firstSolvePositions, SOLVE_SHARE * positions))
    if (this.#newPositions >= enough) return true
    return this.#newPositions >= LEAST_NEW_POSITIONS && waitedMs >= SOLVE_AFTER_MS
  }

  begin(): void {
    this.#newPositions = 0
  }

  /** `tookMs`: everything that a new solution sets off. */
  solved(nowMs: number, tookMs: number): void {
    this.#isSolved = true
    this.#endedAtMs = nowMs
    this.#tookMs = tookMs
  }

  failed(nowMs: number): void {
    this.#endedAtMs = nowMs
  }
}
