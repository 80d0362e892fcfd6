import { expect, test } from 'vitest'
import { featureHeadRidge } from './feature-head-ridge.js'

test('token and feature are held to zero by lambda, products by ten times as much', () => {
  const config = { hiddenSize: 2, vocabSize: 9, bilinearFeatures: 3, rmsNormEps: 1e-5, layer: undefined }
  expect([...featureHeadRidge(config, 3)]).toEqual([3, 3, 3, 3, 30, 30, 30])
})
