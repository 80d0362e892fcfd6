import type { GraphBuilder } from '@plateau/tensor-graph'
import { decoderInputs, decoderOutputs } from './decoder-names.js'

/** ONNX's number for i32. */
const int32 = 6

/**
 * What the rest of the system needs to know of p = softmax(z), from logits z [R, V]:
 * the k largest logits, z at given ids, and
 *   lse = log sum exp z = max z - log max p      (the softmax has the exponentials already)
 *   sum of p^2, exactly, over the whole vocabulary
 *   entropy = lse - sum p z
 *   log sum exp (z / T), to turn logits into probabilities at the request's temperature, for the rows that need it: it
 *   costs a softmax of its own, and at temperature 0 and 1 nobody does.
 */
export function scoringTail(graph: GraphBuilder, logits: string, topK: number): void {
  const perRow = (op: string, x: string) => graph.op(op, [x, graph.ints(1)], { attributes: { keepdims: 1 } }) // [R, 1]
  const softmax = (x: string) => graph.op('Softmax', [x], { attributes: { axis: -1 } })
  const logOfMax = (p: string) => graph.op('Log', [perRow('ReduceMax', p)])

  const top = graph.ops('TopK', [logits, graph.ints(topK)], 2, { attributes: { axis: -1, largest: 1, sorted: 1 } })
  graph.output(decoderOutputs.topLogits, top[0]!, 'f32', ['R', topK])
  graph.output(decoderOutputs.topIds, graph.op('Cast', [top[1]!], { attributes: { to: int32 } }), 'i32', ['R', topK])

  const p = softmax(logits)
  const largest = perRow('ReduceMax', logits)
  const logSumExp = graph.op('Sub', [largest, logOfMax(p)])
  const sumSquares = perRow('ReduceSumSquare', p)
  const entropy = graph.op('Sub', [logSumExp, perRow('ReduceSum', graph.op('Mul', [p, logits]))])
  const stats = graph.op('Concat', [logSumExp, sumSquares, entropy], { attributes: { axis: 1 } })
  graph.output(decoderOutputs.stats, stats, 'f32', ['R', 3])

  const temperedRows = graph.input(decoderInputs.temperedRows, 'i32', ['X'])
  const temperature = graph.input(decoderInputs.temperature, 'f32', ['X', 1])
  const atTemperature = (x: string) => graph.op('Div', [graph.op('Gather', [x, temperedRows]), temperature])
  const tempered = graph.op('Sub', [atTemperature(largest), logOfMax(softmax(atTemperature(logits)))])
  graph.output(decoderOutputs.tempered, tempered, 'f32', ['X', 1])

  const candidates = graph.input(decoderInputs.candidates, 'i32', ['R', 'C'])
  const atCandidates = graph.op('GatherElements', [logits, candidates], { attributes: { axis: 1 } })
  graph.output(decoderOutputs.candidateLogits, atCandidates, 'f32', ['R', 'C'])
}
