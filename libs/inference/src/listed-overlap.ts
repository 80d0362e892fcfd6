import type { FloatTensor, HostTensor } from './host-tensor.js'

/** What a scoring graph says about each row of a batch, and what the target says: `probs` [N, k] of its listed ids. */
export interface ScoredBatch {
  readonly outputs: Readonly<Record<string, HostTensor>>
  readonly listed: number
  readonly probs: Float32Array
}

/** The sum over a row's listed tokens of min(p, q). */
export function listedOverlap({ outputs, listed, probs }: ScoredBatch, row: number): number {
  const logits = (outputs['listed_logits'] as FloatTensor).data
  const logSumExp = (outputs['log_sum_exp'] as FloatTensor).data[row]!
  let alpha = 0
  for (let at = row * listed; at < (row + 1) * listed; at++) {
    alpha += Math.min(probs[at]!, Math.exp(logits[at]! - logSumExp))
  }
  return alpha
}
