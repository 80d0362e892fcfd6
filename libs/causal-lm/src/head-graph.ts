import { GraphBuilder } from '@plateau/tensor-graph'
import type { CausalLmConfig } from './config.js'
import { embeddingLayer, type WeightsOf } from './graph-weights.js'

/** The linear layer that turns hidden states into logits, as GraphWeights names layers. */
export function headLayerName(config: CausalLmConfig): string {
  return config.tieEmbeddings ? embeddingLayer : 'lm_head'
}

/**
 * hidden f32 [R, H] (after the last norm) -> logits f32 [R, V]. For the rare draw that falls beyond the top-k: the
 * decoder itself never lets a whole row out. Needs only the head's parameter.
 */
export function buildHeadGraph(config: CausalLmConfig, weightsOf: WeightsOf): GraphBuilder {
  const { vocabSize, hiddenSize } = config
  const graph = new GraphBuilder()
  const hidden = graph.input('hidden', 'f32', ['R', hiddenSize])
  const logits = weightsOf(graph).linear(hidden, [headLayerName(config)])
  graph.output('logits', logits, 'f32', ['R', vocabSize])
  return graph
}
