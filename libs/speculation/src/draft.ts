/**
 * What serving needs from a draft, whatever its kind. One `Draft` is one loaded version; a `DraftSession` is its state
 * for one response. Shapes: H = the target's hidden size.
 */
import type { Random } from './random.js'
import type { Sampling } from './sampling.js'

export interface Draft {
  /** The version as it appears in records and metrics. */
  readonly version: string
  /** Most tokens a session proposes in one round. */
  readonly maxProposal: number
  open(start: DraftStart): DraftSession
  /** Frees native memory. Every session must have been closed. */
  release(): Promise<void>
}

export interface DraftStart {
  /** The prompt, then the first emitted token. */
  readonly tokens: readonly number[]
  /**
   * Feature rows [rows, H] of the last positions before the newest token: row i is the hidden state from which
   * tokens[tokens.length - rows + i] was drawn.
   */
  readonly features: Float32Array
}

export interface DraftSession {
  /** At most `count` tokens; fewer (or none) when the draft has no opinion. Called once per round. */
  propose(count: number, sampling: Sampling, random: Random): Promise<Proposal>
  /**
   * What the target emitted in this round: accepted tokens and the recovered or bonus one, with the feature row each
   * was drawn from, [tokens.length, H].
   */
  adopt(tokens: readonly number[], features: Float32Array): void
  close(): void
}

export interface Proposal {
  readonly tokens: readonly number[]
  /** The very distributions the tokens were drawn from, one per token. Empty at temperature 0. */
  readonly q: readonly SparseDistribution[]
  /** Raw q (temperature 1, possibly cut to its top tokens without renormalising), for statistics; one per token. */
  readonly rawQ: readonly SparseDistribution[]
}

/** Token ids with their probabilities; every token not listed has probability 0. */
export interface SparseDistribution {
  readonly ids: ArrayLike<number>
  readonly probs: ArrayLike<number>
}
