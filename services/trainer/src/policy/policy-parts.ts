import type { BinWeights, KeepRule, PolicyGain } from '@plateau/contracts'

/** What a stage of learning measured about selection; `gain` as PolicyGain says for its stage. */
export type MeasuredGain = Omit<PolicyGain, 'stage'>

/** How positions are to count in the closed form. */
export interface ClosedFormPolicy {
  readonly binWeights: BinWeights
  /** Over all bins counting the same. */
  readonly gain: MeasuredGain
  /** One sentence for a person: what was chosen, and on what numbers. */
  readonly evidence: string
}

/** What gradients are to use. */
export interface GradientPolicy {
  /** Undefined: as the topic has it. */
  readonly rule: KeepRule | undefined
  /** Rules to be tried out beside it: windows say which of them would have kept them. */
  readonly trials: readonly KeepRule[]
  /** Of the rule over random, at the same number of trained positions; undefined before anything was measured. */
  readonly gain: MeasuredGain | undefined
  /** One sentence for a person. */
  readonly evidence: string
}

/**
 * Where the stages say what they have learned about selection, whenever they like: what they said last counts. A stage
 * that says nothing leaves its part as the topic has it.
 */
export interface PolicySink {
  closedForm(policy: ClosedFormPolicy): void
  gradients(policy: GradientPolicy): void
}
