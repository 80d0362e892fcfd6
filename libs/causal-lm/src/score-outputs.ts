import type { Tape, Tensor } from '@plateau/tensor-graph'

/**
 * What judging a draft needs of its logits [N, V], as a graph's outputs: `listed_logits` [N, k] at `targetIds`,
 * `log_sum_exp` [N, 1], `greedy` [N] (the most probable row, as f32: exact below 2^24).
 */
export function scoreOutputs({ raw }: Tape, logits: Tensor, targetIds: Tensor): void {
  const max = raw.reduce('ReduceMax', logits, [1])
  const mass = raw.reduce('ReduceSum', raw.map('Exp', raw.sub(logits, max)), [1])
  raw.output('listed_logits', raw.gatherColumns(logits, targetIds))
  raw.output('log_sum_exp', raw.add(raw.map('Log', mass), max))
  const greedy = raw.graph.op('ArgMax', [logits.name], { attributes: { axis: 1, keepdims: 0 } })
  const asFloat = raw.graph.op('Cast', [greedy], { attributes: { to: 1 } })
  raw.graph.output('greedy', asFloat, 'f32', [logits.shape[0]!])
}
