/** What a scoring graph's outputs say of a draft, row by row. */
import type { DraftSignals } from '@plateau/speculation'
import type { Piece } from '@plateau/training'
import type { FloatTensor, HostTensor } from './host-tensor.js'

/** What a scoring graph says about each row of a batch, and what the target says: `probs` [N, k] of its listed ids. */
export interface ScoredBatch {
  readonly outputs: Readonly<Record<string, HostTensor>>
  readonly listed: number
  readonly probs: Float32Array
}

/** Every row of a batch of sequences of `positions` rows, with the window's row that it came from. */
export function* batchRows<Rows>(pieces: readonly Piece<Rows>[], positions: number) {
  for (const [sequence, { rows: window, from, to }] of pieces.entries()) {
    for (let r = from; r < to; r++) yield { row: sequence * positions + r - from, window, r }
  }
}

/** How many rows windows have together. */
export function rowCount(windows: readonly { readonly length: number }[]): number {
  return windows.reduce((sum, { length }) => sum + length, 0)
}

/** The sum over a row's listed tokens of min(p, q). */
export function listedOverlap(batch: ScoredBatch, row: number): number {
  let alpha = 0
  forListed(batch, row, (p, q) => (alpha += Math.min(p, q)))
  return alpha
}

/**
 * The signals of a row where q is known over the draft's whole vocabulary and p at the listed tokens L, beyond which it
 * counts 0, as in alpha: there g = -q. So what `draftSignals` sums over all tokens is, from sums over L and sum q^2,
 *
 *     sum q g       = sum_L q g - (sum q^2 - sum_L q^2)
 *     sum q |g|     = sum_L q |g| + (sum q^2 - sum_L q^2)
 *     sum q sign(g) = sum_L q sign(g) - (1 - sum_L q)
 *
 * Where `cannotSay` answers true (the place in `probs` of a causal draft's unknown) p is known and pulls q like any other,
 * but q there is never accepted: its sign is -1 whatever g, and overlap leaves it out.
 */
export function listedSignals(
  batch: ScoredBatch,
  row: number,
  cannotSay: (at: number) => boolean = () => false,
): DraftSignals {
  let [overlap, mean, distance, signs, mass, squares] = [0, 0, 0, 0, 0, 0]
  forListed(batch, row, (p, q, at) => {
    const g = p - q
    const unknown = cannotSay(at)
    const sign = unknown ? -1 : Math.sign(g)
    if (!unknown) overlap += Math.min(p, q)
    mean += q * g
    distance += q * sign * g
    signs += q * sign
    mass += q
    squares += q * q
  })
  const restSquares = floats(batch, 'sum_squares')[row]! - squares
  const gain = (distance + restSquares - (mean - restSquares) * (signs - (1 - mass))) / 2
  return { overlap, gain, entropy: floats(batch, 'entropy')[row]! }
}

function forListed(batch: ScoredBatch, row: number, visit: (p: number, q: number, at: number) => void): void {
  const logits = floats(batch, 'listed_logits')
  const logSumExp = floats(batch, 'log_sum_exp')[row]!
  for (let at = row * batch.listed; at < (row + 1) * batch.listed; at++) {
    visit(batch.probs[at]!, Math.exp(logits[at]! - logSumExp), at)
  }
}

function floats({ outputs }: ScoredBatch, name: string): Float32Array {
  return (outputs[name] as FloatTensor).data
}
