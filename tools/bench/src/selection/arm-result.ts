import { standardEdges } from '@plateau/flatness'

/** One trained draft of the benchmark: an arm is a selection, an experiment what was trained on it. Kept as a line of JSON. */
export interface ArmResult extends ArmName {
  /** Response positions that the draft was trained on: different ones, then all that steps have used. */
  readonly positions: { readonly kept: number; readonly used: number }
  readonly steps: number
  /** Of the process, all threads together: what selection cost, then what training cost. */
  readonly cpuSeconds: { readonly selection: number; readonly training: number }
  /** The logit scale that was fitted for the arm. */
  readonly logitScale: number
  /** Mean over held-out positions of sum min(p, q) over the target's listed tokens, calibrated. */
  readonly alpha: number
  readonly greedyMatch: number
  /** By domain. */
  readonly domains: Readonly<Record<string, { readonly alpha: number; readonly greedyMatch: number }>>
  /**
   * Expected acceptance length (bonus counted) for 1 to 5 proposed tokens, by temperature: the mean over held-out positions
   * of 1 + the products of what the positions that follow accept, each judged on the text as it is (teacher forcing).
   */
  readonly lengths: { readonly t0: readonly number[]; readonly t1: readonly number[] }
  /** Mean alpha of each held-out window, in the dataset's order: what intervals and paired tests are made of. */
  readonly windowAlpha: readonly number[]
  /** Mean alpha by bin of flatness (edges in effective tokens: flatnessEdges), NaN as null where a bin is empty. */
  readonly alphaByFlatness: readonly (number | null)[]
  /** Held-out alpha on the way, for experiments that train step by step. */
  readonly curve?: readonly CurvePoint[]
}

export interface CurvePoint {
  /** Applied; online: positions that had arrived. */
  readonly steps: number
  readonly positions: number
  readonly cpuSeconds: number
  readonly alpha: number
}

/** What tells an arm from all others. */
export interface ArmName {
  readonly experiment: 'closed-form' | 'gradients' | 'gradients-late' | 'causal-lm' | 'online'
  /** Of the dataset: demo, smollm2. */
  readonly target: string
  /** Training positions that there were to select from. */
  readonly available: number
  /** Of gradients: kl, tv, lk-hybrid. */
  readonly loss?: string
  /** A strategy, "learned", "weighted-..." or "full". */
  readonly selector: string
  readonly unit: 'sample' | 'token'
  /** Share of the available positions, in (0, 1]. */
  readonly keep: number
  /** Of everything that is random in the arm. */
  readonly seed: number
  /** Of full data: as many steps as the others, or as many epochs. */
  readonly matched: 'steps' | 'epochs'
}

/** Bins of the effective number of tokens N = V flatness^2 that alpha is broken down by. */
export const flatnessEdges = standardEdges.effectiveTokens

export function armKey(arm: ArmName): string {
  const { experiment, target, available, loss, selector, unit, keep, seed, matched } = arm
  return [experiment, target, available, loss ?? '-', selector, unit, keep, seed, matched].join('|')
}
