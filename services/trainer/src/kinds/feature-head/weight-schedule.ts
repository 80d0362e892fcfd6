/** New positions before weights are learned for the first time. */
const FIRST_POSITIONS = 4096
/** Between two times so many, or this share of a half-life where that is more: what is learned from has changed by then. */
const LEAST_POSITIONS = 8192
const SHARE_OF_HALF_LIFE = 0.25
/** Most of the time that goes into it: each of the tries is a solution and a scoring. */
const MOST_SHARE = 0.1
/** Too little was held out, or the sums could not be solved: look again then. */
const RETRY_MS = 10_000

/** When weights are worth learning again, and when the next piece of that work may be done. */
export class WeightSchedule {
  readonly #enough: number
  #newPositions: number
  #isUnderWay = false
  #nextMs = Number.NEGATIVE_INFINITY

  /** `newPositions`: since the last time, in an earlier life of this process; undefined: it never was. */
  constructor(halfLifePositions: number, newPositions: number | undefined) {
    this.#enough = Math.max(LEAST_POSITIONS, SHARE_OF_HALF_LIFE * halfLifePositions)
    this.#newPositions = newPositions ?? this.#enough - FIRST_POSITIONS
  }

  add(positions: number): void {
    this.#newPositions += positions
  }

  isDue(nowMs: number): boolean {
    return nowMs >= this.#nextMs && (this.#isUnderWay || this.#newPositions >= this.#enough)
  }

  begin(): void {
    this.#isUnderWay = true
  }

  /** A piece is done. */
  worked(nowMs: number, tookMs: number): void {
    this.#nextMs = nowMs + tookMs * (1 / MOST_SHARE - 1)
  }

  learned(): void {
    this.#isUnderWay = false
    this.#newPositions = 0
  }

  /** It is begun again, later. */
  failed(nowMs: number): void {
    this.#isUnderWay = false
    this.#nextMs = nowMs + RETRY_MS
  }

  get newPositions(): number {
    return this.#newPositions
  }
}
