import type { Stage } from './stage.js'

/** The brokers and processes that a scenario needs; scenarios of one kind share one running system. */
export type Topology = 'one broker' | 'three brokers' | 'pairs'

export interface Scenario {
  readonly name: string
  /** One line for `--list`. */
  readonly summary: string
  readonly topology: Topology
  /** Part of `--short`, which CI runs. */
  readonly short: boolean
  /** Does the damage and mends it. What must hold afterwards is checked for all scenarios alike. */
  run(stage: Stage): Promise<ScenarioFacts | void>
}

/** What only the scenario itself can know. */
export interface ScenarioFacts {
  /** Windows that expired before anyone could read them, as the scenario arranged it: gone, but not lost by us. */
  readonly expired?: readonly string[]
  /** Further figures for the JSON line. */
  readonly figures?: Readonly<Record<string, number>>
}

export interface ScenarioResult {
  readonly name: string
  /** Windows that the log had acknowledged. */
  readonly acknowledged: number
  /** Acknowledged windows without a decision, or without a training record. Must be 0. */
  readonly lost: number
  /** Windows with two different decisions, and windows that the trainer counted more than once. Must be 0. */
  readonly doubled: number
  readonly failedRequests: number
  readonly answeredRequests: number
  readonly retriedRequests: number
  /** Longest silence on scored-tokens, from the damage until everything had caught up. */
  readonly stallSeconds: number
  /** From the mending until the next scored record. */
  readonly flowingAfterSeconds: number
  /** Records that came twice and were recognised. */
  readonly redelivered: number
  /** The most that any one service held during the scenario. */
  readonly residentMiB: number
  readonly problems: readonly string[]
  readonly figures?: Readonly<Record<string, number>>
}
