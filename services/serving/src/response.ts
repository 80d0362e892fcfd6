import type { target } from '@plateau/contracts'
import type { ProposalSource } from '@plateau/speculation'

export interface ResponseRequest {
  readonly promptTokenIds: readonly number[]
  readonly sampling: target.SamplingParams
  readonly capture: target.Capture
}

/** What one round emitted. A response is rounds until one has a finish reason. */
export interface Round {
  /** The accepted tokens, then the recovered or bonus one; without a draft, one token. */
  readonly tokens: readonly number[]
  /** Whose proposal it verified. */
  readonly source: ProposalSource
  readonly proposed: number
  readonly accepted: number
  /** Proposed tokens that the target decided about: the accepted ones and the first that was rejected. */
  readonly judged: number
  /** sum of min(p, q) at every judged position of the draft's. */
  readonly alpha: readonly number[]
  readonly finish: target.FinishReason
  /** Of every token, where the request asked for them. */
  readonly logprobs?: readonly target.TokenLogProbs[]
  /** Of a round that verified a proposal: what is not overhead in it, in microseconds. */
  readonly work?: { readonly draftUs: number; readonly targetUs: number }
}
