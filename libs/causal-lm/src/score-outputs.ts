import type { Tape, Tensor } from '@plateau/tensor-graph'

export interface ScoreOptions {
  /** Also what `q` says as a whole, for signals of the draft: two passes more over the logits. */
  readonly wholeQ?: boolean
}

/**
 * What judging a draft needs of its logits [N, V], as a graph's outputs: `listed_logits` [N, k] at `targetIds`,
 * `log_sum_exp` [N, 1], `greedy` [N] (the most probable row, as f32: exact below 2^24). With `wholeQ` and q = softmax(z):
 * `sum_squares` [N, 1], the sum of q^2, and `entropy` [N, 1] = log sum exp z - sum q z, both over all V.
 */
export function scoreOutputs(
  { raw }: Tape,
  logits: Tensor,
  targetIds: Tensor,
  { wholeQ = false }: ScoreOptions = {},
): void {
  const max = raw.reduce('ReduceMax', logits, [1])
  const shifted = raw.sub(logits, max)
  const exponentials = raw.map('Exp', shifted)
  const mass = raw.reduce('ReduceSum', exponentials, [1])
  const logMass = raw.map('Log', mass)
  raw.output('listed_logits', raw.gatherColumns(logits, targetIds))
  raw.output('log_sum_exp', raw.add(logMass, max))
  const greedy = raw.graph.op('ArgMax', [logits.name], { attributes: { axis: 1, keepdims: 0 } })
  const asFloat = raw.graph.op('Cast', [greedy], { attributes: { to: 1 } })
  raw.graph.output('greedy', asFloat, 'f32', [logits.shape[0]!])
  if (!wholeQ) return
  raw.output('sum_squares', raw.div(raw.reduce('ReduceSumSquare', exponentials, [1]), raw.mul(mass, mass)))
  const weighted = raw.reduce('ReduceSum', raw.mul(exponentials, shifted), [1])
  raw.output('entropy', raw.sub(logMass, raw.div(weighted, mass)))
}
