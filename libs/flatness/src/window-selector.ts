import type { Arm } from './arm.js'
import { ruleName, weighsPositions } from './keep-rule.js'
import { RecentWindows, type PlacedWindow } from './recent-windows.js'
import { RuleSelector, type Judgement } from './rule-selector.js'
import type { SelectionPolicy } from './selection-policy.js'
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
  /**
   * As the record stores it: rounded to fp32, so that a restart restores the very number that decided. NaN when there is
   * nothing to rank the window by. Under a rule whose unit is the token the window's own score, which decides nothing.
   */
  readonly score: number
  /** NaN during warm-up, when everything is kept; -Infinity when the policy does not filter. */
  readonly threshold: number
  /** Whether gradients may use the window, or some of it. */
  readonly keep: boolean
  /** [n], what each position counts in gradient training, all 0 when dropped; absent where every one counts 1. */
  readonly gradientWeights?: Float32Array
  /** Trials that would have kept it, by name; none of the evaluation arm, which nothing may be trained on. */
  readonly keptBy: string[]
  /** Mean of 1/flatness over the recent windows and this one: the scale of closed-form weights. */
  readonly meanInverseFlatness: number
}

/** A window is judged beside as many recent ones, and each of these stands in as many of its own. */
export function windowsToRemember(recentWindows: number): number {
  return 2 * recentWindows
}

/**
 * Decides window after window of one stream, against the windows just before. Its whole state is those recent windows'
 * statistics, which the scored records publish: `remember` the last `windowsToRemember` of them in order and the next
 * verdict is the one that would have been given without the interruption.
 */
export class WindowSelector {
  readonly #options: Required<SelectorOptions>
  readonly #recent: RecentWindows
  #policy: SelectionPolicy
  /** By name: the rule in force, and those under trial. */
  #rules: ReadonlyMap<string, RuleSelector> = new Map()

  constructor(policy: SelectionPolicy, options: SelectorOptions = {}) {
    const recentWindows = options.recentWindows ?? 128
    this.#options = { recentWindows, warmUpWindows: Math.min(options.warmUpWindows ?? 16, recentWindows) }
    this.#recent = new RecentWindows(recentWindows)
    this.#policy = policy
    this.#rules = this.#rulesOf(policy)
  }

  get policy(): SelectionPolicy {
    return this.#policy
  }

  /** Takes effect with the next window. Recent windows are judged again, so another rule needs no new warm-up. */
  use(policy: SelectionPolicy): void {
    if (policy === this.#policy) return
    this.#policy = policy
    this.#rules = this.#rulesOf(policy)
  }

  /** The verdict on the next window, which becomes one of the recent ones. Every arm counts as traffic. */
  decide(window: WindowStatistics, arm: Arm): Verdict {
    const placed = this.#recent.add(window)
    const judgements = new Map([...this.#rules].map(([name, rule]) => [name, rule.decide(placed)]))
    const { rule, trials } = this.#policy
    const judgement = judgements.get(ruleName(rule))!
    const { keep, gradientWeights } = this.#inArm(arm, placed, judgement)
    return {
      score: judgement.score,
      threshold: judgement.threshold,
      keep,
      ...(gradientWeights && { gradientWeights }),
      keptBy: arm === 'evaluation' ? [] : trials.map(ruleName).filter((name) => judgements.get(name)!.keep),
      meanInverseFlatness: this.meanInverseFlatness(),
    }
  }

  /** Takes a window into account that was decided before. */
  remember(window: WindowStatistics): void {
    const placed = this.#recent.add(window)
    for (const rule of this.#rules.values()) rule.remember(placed)
  }

  /** Mean of 1/flatness over the recent windows; NaN when there are none. */
  meanInverseFlatness(): number {
    return this.#recent.meanInverseFlatness()
  }

  /** What an arm makes of a judgement. */
  #inArm(arm: Arm, placed: PlacedWindow, judgement: Judgement): Pick<Judgement, 'keep' | 'gradientWeights'> {
    const { rule } = this.#policy
    switch (arm) {
      case 'evaluation': {
        const none = weighsPositions(rule) ? new Float32Array(placed.window.flatness.length) : undefined
        return { keep: false, gradientWeights: none }
      }
      case 'control':
        return this.#rules.get(ruleName(rule))!.atRandom(placed)
      case 'selected':
        return judgement
    }
  }

  #rulesOf({ rule, trials }: SelectionPolicy): Map<string, RuleSelector> {
    const rules = new Map<string, RuleSelector>()
    for (const one of [rule, ...trials]) {
      const name = ruleName(one)
      if (!rules.has(name)) rules.set(name, this.#rules.get(name) ?? this.#filled(new RuleSelector(one, this.#options)))
    }
    return rules
  }

  #filled(rule: RuleSelector): RuleSelector {
    for (const placed of this.#recent.all) rule.remember(placed)
    return rule
  }
}
