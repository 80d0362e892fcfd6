import {
  armOf,
  closedFormWeightsOf,
  policyName,
  WindowSelector,
  type ArmShares,
  type SelectionPolicy,
  type SelectorOptions,
} from '@plateau/flatness'
import type { NewRecord } from '@plateau/event-log'
import type { AcceptedWindow } from './accept-window.js'
import { decisionOf, keptPositions, windowKey, type Decision, type WindowKey } from './decision.js'
import { measureWindow, statisticsOf, type MeasuredWindow } from './measure-window.js'
import { scoredRecord, trainingRecord, type Made } from './outgoing-records.js'
import type { PartitionHistory } from './partition-history.js'

export interface PartitionScorerOptions extends SelectorOptions {
  readonly shares: ArmShares
  /** Decided windows that are recognised when they come again. */
  readonly rememberedDecisions: number
}

/** What has to be published for one window; undefined where it is published already. */
export interface WindowOutcome {
  readonly accepted: AcceptedWindow
  readonly decision: Decision
  readonly measured: MeasuredWindow
  /** False for a window that was decided before. */
  readonly isNew: boolean
  readonly traceparent: string | undefined
  readonly scored: NewRecord | undefined
  readonly training: NewRecord | undefined
}

/**
 * Scores the windows of one source partition, in its order. It holds the recent windows that the threshold is made of and
 * the decisions that may be asked for again; both can be had back from the output topics.
 *
 * Its state runs ahead of what is durable by one batch: when publishing fails, throw it away and restore a new one.
 */
export class PartitionScorer {
  /** Source offset that continues this state; any other means that somebody else was at work in between. */
  nextOffset: number
  /** Average over about the last 256 windows of the selected arm; NaN before the first. */
  keptShare = Number.NaN
  threshold = Number.NaN
  readonly #options: PartitionScorerOptions
  readonly #selector: WindowSelector
  /** Oldest first. */
  readonly #decided = new Map<WindowKey, { readonly decision: Decision; trained: boolean }>()
  #selected = 0

  constructor(policy: SelectionPolicy, options: PartitionScorerOptions, history: PartitionHistory, fromOffset: number) {
    this.#options = options
    this.#selector = new WindowSelector(policy, options)
    this.nextOffset = fromOffset
    for (const scored of history.scored) {
      const key = windowKey(scored)
      const decision = decisionOf(scored)
      // The first record of a window is its decision; a second one is a retry that was not needed.
      if (!decision || this.#decided.has(key)) continue
      this.#selector.remember(statisticsOf(scored))
      this.#remember(key, decision, scored.sourceOffset < fromOffset || history.trained.has(key))
    }
  }

  get policy(): SelectionPolicy {
    return this.#selector.policy
  }

  use(policy: SelectionPolicy): void {
    this.#selector.use(policy)
  }

  /** Decides a window, or finds what was decided before, and makes the records that are still missing. */
  process(accepted: AcceptedWindow, made: Made): WindowOutcome {
    const key = windowKey(accepted.window)
    const measured = measureWindow(accepted)
    const known = this.#decided.get(key)
    const decision = known?.decision ?? this.#decide(accepted, measured)
    const outcome = {
      accepted,
      decision,
      measured,
      isNew: known === undefined,
      traceparent: made.traceparent,
      scored: known ? undefined : scoredRecord(accepted, measured, decision, made),
      training: known?.trained ? undefined : this.#trainingRecord(accepted, measured, decision, made),
    }
    if (known) known.trained = true
    else this.#remember(key, decision, true)
    return outcome
  }

  #decide(accepted: AcceptedWindow, measured: MeasuredWindow): Decision {
    const arm = armOf(accepted.window.sampleId, this.#options.shares)
    const { score, threshold, keep, gradientWeights, keptBy } = this.#selector.decide(measured, arm)
    const policy = policyName(this.#selector.policy)
    const decision = { arm, keep, score, threshold, policy, gradientWeights, keptBy }
    this.threshold = threshold
    if (arm === 'selected')
      this.#countSelected(keptPositions(decision, measured.flatness.length) / measured.flatness.length)
    return decision
  }

  #trainingRecord(accepted: AcceptedWindow, measured: MeasuredWindow, decision: Decision, made: Made): NewRecord {
    const weights = closedFormWeightsOf(this.#selector.policy, measured, this.#selector.meanInverseFlatness())
    return trainingRecord(accepted, decision, weights, made)
  }

  #remember(key: WindowKey, decision: Decision, trained: boolean): void {
    this.#decided.set(key, { decision, trained })
    if (this.#decided.size > this.#options.rememberedDecisions) {
      this.#decided.delete(this.#decided.keys().next().value!)
    }
  }

  #countSelected(kept: number): void {
    this.#selected = Math.min(256, this.#selected + 1)
    const before = Number.isNaN(this.keptShare) ? 0 : this.keptShare
    this.keptShare = before + (kept - before) / this.#selected
  }
}
