import { expect, test } from 'vitest'
import type { CausalLmConfig } from './config.js'
import { initialParameters } from './initial-parameters.js'
import { referenceForward } from './reference-forward.js'

const config: CausalLmConfig = {
  vocabSize: 11,
  hiddenSize: 8,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 4,
  intermediateSize: 12,
  rmsNormEps: 1e-6,
  ropeTheta: 100,
  maxPositions: 32,
  tieEmbeddings: true,
  bosTokenId: undefined,
  eosTokenIds: [],
}

function random(seed: number): () => number {
  let state = seed >>> 0
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
}

test('a position does not see what follows it', () => {
  const parameters = initialParameters(config, random(1))
  const one = referenceForward(config, parameters, [1, 2, 3, 4])
  const other = referenceForward(config, parameters, [1, 2, 9, 10])
  expect(other.logits.slice(0, 2)).toEqual(one.logits.slice(0, 2))
  expect(other.logits[2]).not.toEqual(one.logits[2])
})

test('a position sees the order of what came before it', () => {
  const parameters = initialParameters(config, random(2))
  const last = (ids: number[]) => referenceForward(config, parameters, ids).logits.at(-1)
  expect(last([1, 2, 3])).not.toEqual(last([2, 1, 3]))
})

test('one token attends to itself only: its own value passes through', () => {
  // One layer without feed-forward; identity value and output projections; two query heads share each value head.
  const flat = { ...config, layers: 1 }
  const parameters = initialParameters(flat, random(3))
  const set = (name: string, at: (out: number, input: number) => number) => {
    const { shape, data } = parameters.get(`model.layers.0.${name}.weight`)!
    data.forEach((_, i) => (data[i] = at(Math.floor(i / shape[1]!), i % shape[1]!)))
  }
  set('mlp.down_proj', () => 0)
  set('self_attn.v_proj', (out, input) => (out === input ? 1 : 0))
  // Output o reads attended value o of head floor(o / 4), which lies at 2 * head in the order of query heads.
  set('self_attn.o_proj', (out, input) => (input === Math.floor(out / 4) * 8 + (out % 4) ? 1 : 0))
  const embedding = Array.from(parameters.get('model.embed_tokens.weight')!.data.subarray(5 * 8, 6 * 8))
  const norm = (row: number[]) => {
    const scale = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0) / 8 + 1e-6)
    return row.map((x) => x / scale)
  }
  const expected = norm(norm(embedding).map((x, i) => x + embedding[i]!))
  const { hidden } = referenceForward(flat, parameters, [5])
  hidden[0]!.forEach((x, i) => expect(x).toBeCloseTo(expected[i]!, 12))
})
