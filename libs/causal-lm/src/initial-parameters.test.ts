import { expect, it } from 'vitest'
import { parameterShapes, type CausalLmConfig } from './config.js'
import { initialParameters } from './initial-parameters.js'

const config: CausalLmConfig = {
  vocabSize: 64,
  hiddenSize: 32,
  layers: 8,
  heads: 2,
  kvHeads: 1,
  headDim: 16,
  intermediateSize: 48,
  rmsNormEps: 1e-5,
  ropeTheta: 10_000,
  maxPositions: 8,
  tieEmbeddings: false,
  bosTokenId: undefined,
  eosTokenIds: [],
}

it('every parameter of the configuration is there, in its shape and order', () => {
  const parameters = initialParameters(config, generator(1))
  expect([...parameters].map(([name, { shape }]) => [name, shape])).toEqual([...parameterShapes(config)])
})

it('norms are 1; matrices have a spread of 0.02, and what adds to the residual stream a quarter of it at 8 layers', () => {
  const parameters = initialParameters(config, generator(1))
  expect(parameters.get('model.layers.3.input_layernorm.weight')!.data.every((value) => value === 1)).toBe(true)
  expect(spread(parameters.get('model.embed_tokens.weight')!.data)).toBeCloseTo(0.02, 2.5)
  expect(spread(parameters.get('model.layers.7.mlp.down_proj.weight')!.data) / 0.02).toBeCloseTo(0.25, 1)
})

it('the same random numbers give the same parameters, others give others', () => {
  const [a, b, c] = [1, 1, 2].map((seed) => initialParameters(config, generator(seed)))
  expect(a).toEqual(b)
  expect(a).not.toEqual(c)
})

function spread(data: Float32Array): number {
  return Math.sqrt(data.reduce((sum, value) => sum + value ** 2, 0) / data.length)
}

/** Park and Miller's. */
function generator(seed: number): () => number {
  let state = seed
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647
}
