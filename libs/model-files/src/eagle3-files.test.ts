import { initialFeatureHead, withVocabulary, type FeatureHeadConfig } from '@plateau/causal-lm'
import { expect, test } from 'vitest'
import { encodeEagle3 } from './eagle3-files.js'
import { decodeSafetensors } from './safetensors.js'
import { toFloats, toIntegers } from './tensor.js'

const config: FeatureHeadConfig = {
  hiddenSize: 6,
  vocabSize: 11,
  bilinearFeatures: 0,
  rmsNormEps: 1e-5,
  layer: { heads: 3, headDim: 2, intermediateSize: 5, ropeTheta: 10_000, contextPositions: 8 },
}
const target = { norm: new Float32Array(6).fill(1), head: Float32Array.from({ length: 66 }, (_, i) => i / 8) }
const head = withVocabulary(
  initialFeatureHead(config, target, () => 0.3),
  Int32Array.of(0, 3, 9, 10),
)

test('a head is written in the layout of EAGLE-3, maps and types included', () => {
  const files = new Map(encodeEagle3(head, target, { maxPositions: 64 }).map(({ path, bytes }) => [path, bytes]))
  const json = JSON.parse(Buffer.from(files.get('config.json')!).toString()) as Record<string, unknown>
  expect(json).toMatchObject({ architectures: ['LlamaForCausalLMEagle3'], draft_vocab_size: 4, torch_dtype: 'float16' })
  const { tensors, metadata } = decodeSafetensors(files.get('model.safetensors')!, 'test')
  expect(metadata['format']).toBe('pt')
  expect(tensors.get('midlayer.self_attn.q_proj.weight')).toMatchObject({ dtype: 'F16', shape: [6, 12] })
  expect(tensors.get('t2d')).toMatchObject({ dtype: 'BOOL', shape: [11] })
  expect([...tensors.get('t2d')!.bytes]).toEqual([1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1])
  expect([...toIntegers(tensors.get('d2t')!)]).toEqual([0n, 2n, 7n, 7n])
  expect([...toFloats(tensors.get('lm_head.weight')!).subarray(6, 12)]).toEqual([...target.head.subarray(18, 24)])
  expect(tensors.has('embed_tokens.weight')).toBe(false)
})

test('a head without a counterpart is refused with what has none', () => {
  const bilinear = initialFeatureHead({ ...config, bilinearFeatures: 2, bilinearSeed: 1 }, target, () => 0.3)
  expect(() => encodeEagle3(bilinear, target, { maxPositions: 64 })).toThrow(
    expect.objectContaining({ code: 'EXPORT_IMPOSSIBLE', message: expect.stringMatching(/2 bilinear features/) }),
  )
})
