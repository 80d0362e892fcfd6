import { describe, expect, it } from 'vitest'
import { bilinearPairs } from './bilinear-pairs.js'
import { featureHeadConfigJson, parseFeatureHeadConfig } from './feature-head-config.js'
import type { FeatureHeadConfig } from './feature-head.js'

const config: FeatureHeadConfig = {
  hiddenSize: 5,
  vocabSize: 30,
  bilinearFeatures: 8,
  bilinearSeed: 3,
  rmsNormEps: 1e-5,
  layer: undefined,
}

describe('bilinear features as products of coordinates', () => {
  it('are the same for the same seed for good: checkpoints depend on it', () => {
    const { token, feature } = bilinearPairs(config)!
    expect([...token]).toEqual([3, 0, 2, 0, 3, 2, 0, 1])
    expect([...feature]).toEqual([3, 0, 1, 1, 4, 2, 4, 1])
  })

  it('are different pairs, all of them when as many are asked for', () => {
    const { token, feature } = bilinearPairs({ ...config, bilinearFeatures: 25, bilinearSeed: -9 })!
    expect(new Set(Array.from(token, (i, k) => 5 * i + feature[k]!)).size).toBe(25)
    expect(() => bilinearPairs({ ...config, bilinearFeatures: 26 })).toThrow(/5 x 5 coordinates/)
  })

  it('come back with the configuration', () => {
    expect(parseFeatureHeadConfig(featureHeadConfigJson(config))).toEqual(config)
    const reduced = { ...config, draftVocabSize: 7 }
    expect(parseFeatureHeadConfig(featureHeadConfigJson(reduced))).toEqual(reduced)
  })
})
