import type { Arm } from './arm.js'
import { meanInverse } from './closed-form-weights.js'
import type { SelectionPolicy } from './selection-policy.js'
import { isBelow, SlidingQuantile } from './sliding-quantile.js'
import type { WindowStatistics } from './strategies/strategy.js'

export interface SelectorOptions {
  /**
   * How many recent windows the threshold is a quantile of. Short follows drift (a step in the scores is forgotten after
   * about half of it), long is steadier (the kept share's error is about sqrt(keep (1 - keep) / recentWindows)).
   * Default 128.
   */
  readonly recentWindows?: number
  /** Fewer recent windows than this: everything is kept. Default 16. */
  readonly warmUpWindows?: number
}

export interface Verdict {
  /** As the record stores it: rounded to fp32, so that a restart restores the very number that decided. */
  readonly score: number
  /** NaN during warm-up, when everything is kept; -Infinity when the policy does not filter. */
  readonly threshold: number
  /** Whether gradients may use the window. */
  readonly keep: boolean
  /** Mean of 1/flatness over the recent windows and this one: the scale of closed-form weights. */
  readonly meanInverseFlatness: number
}

/**
 * Decides window after window of one stream, against the windows just before. Its whole state is those recent windows'
 * statistics, which the scored records publish: `remember` them in order and the next verdict is the one that would have
 * been given without the interruption.
 */
export class WindowSelector {
  readonly #recentWindows: number
  readonly #warmUpWindows: number
  readonly #recent: { readonly window: WindowStatistics; readonly meanInverseFlatness: number }[] = []
  #policy: SelectionPolicy
  #quantile: SlidingQuantile

  constructor(policy: SelectionPolicy, options: SelectorOptions = {}) {
    this.#recentWindows = options.recentWindows ?? 128
    this.#warmUpWindows = Math.min(options.warmUpWindows ?? 16, this.#recentWindows)
    this.#policy = policy
    this.#quantile = new SlidingQuantile(this.#recentWindows)
  }

  get policy(): SelectionPolicy {
    return this.#policy
  }

  /** Takes effect with the next window. Recent windows are scored again, so another strategy needs no new warm-up. */
  use(policy: SelectionPolicy): void {
    const sameScores = policy.strategy === this.#policy.strategy
    this.#policy = policy
    if (sameScores) return
    this.#quantile = new SlidingQuantile(this.#recentWindows)
    for (const { window } of this.#recent) this.#quantile.add(this.#rank(window))
  }

  /** The verdict on the next window, which becomes one of the recent ones. Every arm counts as traffic. */
  decide(window: WindowStatistics, arm: Arm): Verdict {
    const ranked = this.#rank(window)
    const threshold = this.#threshold()
    const passes = threshold === undefined || !isBelow(ranked, threshold)
    this.remember(window)
    return {
      score: ranked.score,
      threshold: threshold?.score ?? Number.NaN,
      keep: this.#keeps(arm, passes, window.lot),
      meanInverseFlatness: this.meanInverseFlatness(),
    }
  }

  /** Takes a window into account that was decided before. */
  remember(window: WindowStatistics): void {
    if (this.#recent.length === this.#recentWindows) this.#recent.shift()
    this.#recent.push({ window, meanInverseFlatness: meanInverse(window.flatness) })
    this.#quantile.add(this.#rank(window))
  }

  /** Mean of 1/flatness over the recent windows; NaN when there are none. */
  meanInverseFlatness(): number {
    // Summed anew each time: a running sum would depend on where it was started.
    let sum = 0
    for (const recent of this.#recent) sum += recent.meanInverseFlatness
    return sum / this.#recent.length
  }

  #keeps(arm: Arm, passes: boolean, lot: number): boolean {
    switch (arm) {
      case 'evaluation':
        return false
      case 'control':
        return lot < this.#policy.keep
      case 'selected':
        return passes
    }
  }

  /** Undefined during warm-up. */
  #threshold(): { score: number; lot: number } | undefined {
    if (this.#policy.keep === 1) return { score: Number.NEGATIVE_INFINITY, lot: 0 }
    return this.#quantile.size < this.#warmUpWindows ? undefined : this.#quantile.threshold(this.#policy.keep)
  }

  #rank(window: WindowStatistics): { score: number; lot: number } {
    const score = Math.fround(this.#policy.strategy.score(window, []))
    // A strategy that found nothing to rank by puts the window last; -0 and 0 are one score.
    return { score: Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score + 0, lot: window.lot }
  }
}
