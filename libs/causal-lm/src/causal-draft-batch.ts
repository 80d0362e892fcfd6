import { Tape } from '@plateau/tensor-graph'
import type { CausalDraftConfig } from './causal-draft.js'
import { parameterShapes } from './config.js'
import { scoreOutputs, type ScoreOptions } from './score-outputs.js'
import { causalLmLogits, type TrainGraphShape } from './train-graph.js'

/**
 * A causal draft over a batch of B sequences of T tokens, N = B T rows, parameters as inputs. Inputs: `input_ids` [N] and
 * `target_ids` [N, k], as rows of the draft, and every parameter under its name. Outputs: see scoreOutputs.
 */
export function buildCausalDraftScoreGraph(
  { model }: CausalDraftConfig,
  shape: TrainGraphShape,
  options: ScoreOptions = {},
): Uint8Array {
  const rows = shape.sequences * shape.positions
  const tape = new Tape()
  const { raw } = tape
  const ids = raw.input('input_ids', [rows], 'i64')
  const targetIds = raw.input('target_ids', [rows, shape.targetsPerRow], 'i64')
  const parameters = new Map([...parameterShapes(model)].map(([name, dims]) => [name, raw.input(name, dims)]))
  scoreOutputs(tape, causalLmLogits(tape, model, shape, parameters, ids), targetIds, options)
  return raw.graph.encode()
}
