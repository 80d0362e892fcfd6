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
 *   log sum exp (z / T), to turn logits into probabilities at the request's temperature.
 */
export function scoringTail(graph: GraphBuilder, logits: string, topK: number): void {
  const temperature = graph.input(decoderInputs.temperature, 'f32', ['R', 1])
  const candidates = graph.input(decoderInputs.candidates, 'i64', ['R', 'C'])
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
  const tempered = softmax(graph.op('Div', [logits, temperature]))
  const temperedLogSumExp = graph.op('Sub', [graph.op('Div', [largest, temperature]), logOfMax(tempered)])
  const stats = [logSumExp, sumSquares, entropy, temperedLogSumExp]
  graph.output(decoderOutputs.stats, graph.op('Concat', stats, { attributes: { axis: 1 } }), 'f32', ['R', 4])

  const atCandidates = graph.op('GatherElements', [logits, candidates], { attributes: { axis: 1 } })
  graph.output(decoderOutputs.candidateLogits, atCandidates, 'f32', ['R', 'C'])
}
