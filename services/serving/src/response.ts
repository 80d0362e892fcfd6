import type { target } from '@plateau/contracts'

export interface ResponseRequest {
  readonly promptTokenIds: readonly number[]
  readonly sampling: target.SamplingParams
  readonly capture: target.Capture
}

/** What one round emitted. A response is rounds until one has a finish reason. */
export interface Round {
  /** The accepted tokens, then the recovered or bonus one; without a draft, one token. */
  readonly tokens: readonly number[]
  readonly proposed: number
  readonly accepted: number
  /** sum of min(p, q) at every judged position. */
  readonly alpha: readonly number[]
  readonly finish: target.FinishReason
}
