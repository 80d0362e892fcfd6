import { meanInverse } from './closed-form-weights.js'
import { WINDOWS_BEFORE, type WindowStatistics } from './strategies/strategy.js'

/** A window where it stands in its stream. */
export interface PlacedWindow {
  readonly window: WindowStatistics
  /** The windows just before it, newest first, up to WINDOWS_BEFORE. */
  readonly before: readonly WindowStatistics[]
  /** Earlier windows of the same response that were recent when it came, oldest first. */
  readonly earlier: readonly WindowStatistics[]
}

/** The most recent windows of one stream. Each keeps the context that it was judged in. */
export class RecentWindows {
  readonly #capacity: number
  /** Oldest first. */
  readonly #placed: (PlacedWindow & { readonly meanInverse: number })[] = []
  readonly #bySample = new Map<string, WindowStatistics[]>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** Oldest first. */
  get all(): readonly PlacedWindow[] {
    return this.#placed
  }

  /** Takes the next window in, and the oldest out when there are too many. */
  add(window: WindowStatistics): PlacedWindow {
    const before = this.#placed.slice(-WINDOWS_BEFORE).reverse()
    const ofSample = this.#bySample.get(window.sampleId) ?? []
    const placed = {
      window,
      before: before.map((one) => one.window),
      earlier: [...ofSample],
      meanInverse: meanInverse(window.flatness),
    }
    this.#placed.push(placed)
    ofSample.push(window)
    this.#bySample.set(window.sampleId, ofSample)
    if (this.#placed.length > this.#capacity) this.#forgetOldest()
    return placed
  }

  /** Mean of 1/flatness over the recent windows, each counting once; NaN when there are none. */
  meanInverseFlatness(): number {
    // Summed anew each time: a running sum would depend on where it was started.
    let sum = 0
    for (const placed of this.#placed) sum += placed.meanInverse
    return sum / this.#placed.length
  }

  #forgetOldest(): void {
    const { sampleId } = this.#placed.shift()!.window
    const ofSample = this.#bySample.get(sampleId)!
    ofSample.shift()
    if (ofSample.length === 0) this.#bySample.delete(sampleId)
  }
}
