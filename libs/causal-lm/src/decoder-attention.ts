/**
 * Attention of a batch of sequences, each with its own past: see decoder-graph.ts for the letters.
 *
 * Linear layers work on the T tokens that there are; attention works on [B, S], so that all sequences go into one matrix
 * product. Between the two every head's row of D numbers is fetched by its index: that is the transposition from tokens
 * to heads and the padding in one, and costs a batch of one nothing that a transposition would not.
 *
 * The past is never copied: scores against the past and against the new keys are computed apart and meet in one softmax.
 * GroupQueryAttention would be one node instead of fifteen, but copies and clears the whole past in every layer, which
 * costs more than the nodes from some 200 positions on, and has no batches of several new tokens with a past.
 */
import type { GraphBuilder } from '@plateau/tensor-graph'
import type { CausalLmConfig } from './config.js'
import { decoderInputs } from './decoder-names.js'
import { rotaryTable } from './rotary-table.js'

/** Values that all layers share. N = heads + 2 K heads come out of one projection: queries, keys, values. */
export interface AttentionInputs {
  /** i64 [T N, 1]: every head's row's position; 0 for values, for turning by nothing is what they need. */
  readonly position: string
  readonly cos: string
  readonly sin: string
  /** Which of the T N rows stands where: [B, K, G S], [B, K, S], [B, K, S]. */
  readonly queryRows: string
  readonly keyRows: string
  readonly valueRows: string
  /** [T, heads]: which of attention's B heads S result rows belong to the token. */
  readonly resultRows: string
  /** [B, 1, G S, P + S] */
  readonly mask: string
  /** [P, S], to split what was computed against past and new keys. */
  readonly pastAndNew: string
}

/** ONNX's numbers for types. */
const int32 = 6
const int64 = 7

export function attentionInputs(graph: GraphBuilder, config: CausalLmConfig, maxContext: number): AttentionInputs {
  const { heads, kvHeads, headDim } = config
  const packed = graph.input(decoderInputs.packed, 'i32', ['B', 'S'])
  const mask = graph.input(decoderInputs.mask, 'f32', ['B', 1, 'S', 'P_plus_S'])
  const newCount = graph.op('Shape', [mask], { attributes: { start: 2, end: 3 } })
  const total = graph.op('Shape', [mask], { attributes: { start: 3, end: 4 } })
  const tables = rotaryTable(config, maxContext)
  const rows = headRows(graph, config, packed)
  const group = heads / kvHeads
  return {
    position: rowPositions(graph, config),
    cos: graph.constant(tables.cos, [maxContext, headDim / 2]),
    sin: graph.constant(tables.sin, [maxContext, headDim / 2]),
    queryRows: graph.op('Reshape', [rows(0, heads), graph.ints(0, kvHeads, -1)]),
    keyRows: rows(heads, kvHeads),
    valueRows: rows(heads + kvHeads, kvHeads),
    resultRows: resultRows(graph, heads, newCount),
    mask: group === 1 ? mask : graph.op('Concat', Array<string>(group).fill(mask), { attributes: { axis: 2 } }),
    pastAndNew: graph.op('Concat', [graph.op('Sub', [total, newCount]), newCount], { attributes: { axis: 0 } }),
  }
}

/** qkv [T, N D] -> attention's result [T, heads D], and the new keys and values [B, K, S, D]. */
export function attention(
  graph: GraphBuilder,
  config: CausalLmConfig,
  layer: number,
  qkv: string,
  shared: AttentionInputs,
): { output: string; key: string; value: string } {
  const { heads, kvHeads, headDim } = config
  const alone = graph.op('Reshape', [qkv, graph.ints(-1, 1, headDim)]) // [T N, 1, D]
  const rotated = graph.op('RotaryEmbedding', [alone, shared.position, shared.cos, shared.sin], contrib({}))
  const all = graph.op('Reshape', [rotated, graph.ints(-1, headDim)])
  const query = graph.op('Gather', [all, shared.queryRows]) // [B, K, G S, D]
  const key = graph.op('Gather', [all, shared.keyRows]) // [B, K, S, D]
  const value = graph.op('Gather', [all, shared.valueRows])

  const pastKey = graph.input(decoderInputs.pastKey(layer), 'f32', ['B', kvHeads, 'P', headDim])
  const pastValue = graph.input(decoderInputs.pastValue(layer), 'f32', ['B', kvHeads, 'P', headDim])
  const scale = contrib({ transB: 1, alpha: { float: 1 / Math.sqrt(headDim) } })
  const against = (keys: string) => graph.op('FusedMatMul', [query, keys], scale)
  const scores = graph.op('Concat', [against(pastKey), against(key)], { attributes: { axis: 3 } }) // [B, K, G S, P + S]
  const weights = graph.op('Softmax', [graph.op('Add', [scores, shared.mask])], { attributes: { axis: -1 } })
  const [ofPast, ofNew] = graph.ops('Split', [weights, shared.pastAndNew], 2, { attributes: { axis: 3 } })
  const mixed = graph.op('Add', [graph.op('MatMul', [ofPast!, pastValue]), graph.op('MatMul', [ofNew!, value])])

  const byToken = graph.op('Gather', [graph.op('Reshape', [mixed, graph.ints(-1, headDim)]), shared.resultRows])
  return { output: graph.op('Reshape', [byToken, graph.ints(-1, heads * headDim)]), key, value }
}

function rowPositions(graph: GraphBuilder, { heads, kvHeads }: CausalLmConfig): string {
  const positions = graph.op('Cast', [graph.input(decoderInputs.positions, 'i32', ['T'])], {
    attributes: { to: int64 },
  })
  const turns = BigInt64Array.from({ length: heads + 2 * kvHeads }, (_, n) => (n < heads + kvHeads ? 1n : 0n))
  const perHead = graph.op('Mul', [
    graph.op('Unsqueeze', [positions, graph.ints(1)]),
    graph.constant(turns, [1, turns.length]),
  ])
  return graph.op('Reshape', [perHead, graph.ints(-1, 1)])
}

/** [B, count, S]: row t N + n of the projections for token t = packed[b, s] and heads n from `first`. */
function headRows(graph: GraphBuilder, { heads, kvHeads }: CausalLmConfig, packed: string) {
  const perToken = graph.constant(Int32Array.of(heads + 2 * kvHeads), [1])
  const firstRows = graph.op('Mul', [graph.op('Unsqueeze', [packed, graph.ints(1)]), perToken]) // [B, 1, S]
  return (first: number, count: number) => {
    const ofHead = Int32Array.from({ length: count }, (_, n) => first + n)
    return graph.op('Add', [firstRows, graph.constant(ofHead, [1, count, 1])])
  }
}

/** origin[t] + n S for every head n: results lie as [B, heads, S, D]. */
function resultRows(graph: GraphBuilder, heads: number, newCount: string): string {
  const origin = graph.op('Unsqueeze', [graph.input(decoderInputs.origin, 'i32', ['T']), graph.ints(1)])
  const steps = graph.constant(
    Int32Array.from({ length: heads }, (_, n) => n),
    [1, heads],
  )
  const ofHead = graph.op('Mul', [graph.op('Cast', [newCount], { attributes: { to: int32 } }), steps])
  return graph.op('Add', [origin, ofHead])
}

/** ONNX Runtime's own operators. */
function contrib(attributes: Record<string, number | { float: number }>) {
  return { domain: 'com.microsoft', attributes }
}
