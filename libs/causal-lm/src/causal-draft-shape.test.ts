import { expect, it } from 'vitest'
import { causalDraftShape } from './causal-draft-shape.js'
import { checkCausalDraftConfig } from './causal-draft.js'

const target = { vocabSize: 100, bosTokenId: 1, eosTokenIds: [2, 3] }

it.each([16, 64, 100, 256])('a draft of width %i is one that can be built, over all tokens or some', (hiddenSize) => {
  for (const vocabulary of [undefined, Int32Array.of(1, 2, 7)]) {
    const shape = causalDraftShape(target, vocabulary, { hiddenSize, layers: 2 })
    expect(() => checkCausalDraftConfig(shape)).not.toThrow()
    expect(shape.model).toMatchObject({ hiddenSize, layers: 2, bosTokenId: 1, eosTokenIds: [2, 3] })
    expect(shape.model.heads * shape.model.headDim).toBeLessThanOrEqual(hiddenSize)
  }
})
