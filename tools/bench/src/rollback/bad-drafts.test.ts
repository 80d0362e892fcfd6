import type { FeatureHead } from '@plateau/causal-lm'
import { seededRandom } from '@plateau/speculation'
import { describe, expect, it } from 'vitest'
import { noisyHead, randomHead } from './bad-drafts.js'

const map = Float32Array.from({ length: 4 * 8 }, (_, i) => (i % 2 === 0 ? 3 : -3))
const head: FeatureHead = {
  config: { hiddenSize: 4, vocabSize: 16, bilinearFeatures: 0, rmsNormEps: 1e-5, layer: undefined },
  parameters: new Map([
    ['fc.weight', { shape: [4, 8], data: map }],
    ['norm.weight', { shape: [4], data: Float32Array.of(1, 2, 3, 4) }],
    ['logit_scale', { shape: [1], data: Float32Array.of(1.25) }],
  ]),
}
const mapOf = (other: FeatureHead): Float32Array => other.parameters.get('fc.weight')!.data
const size = (data: Float32Array): number => Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length)

describe('drafts that are worse on purpose', () => {
  it('random: other weights of the same size, another for every seed; norms and scale stay', () => {
    const random = randomHead(head, seededRandom(1))
    expect(size(mapOf(random))).toBeGreaterThan(2)
    expect(size(mapOf(random))).toBeLessThan(4)
    expect(mapOf(random)).not.toEqual(mapOf(randomHead(head, seededRandom(2))))
    expect(random.parameters.get('norm.weight')).toBe(head.parameters.get('norm.weight'))
    expect(random.parameters.get('logit_scale')).toBe(head.parameters.get('logit_scale'))
  })

  it('degraded: the same noise, as large as it was asked for, and the original untouched', () => {
    const moved = (share: number): Float32Array =>
      mapOf(noisyHead(head, share, seededRandom(1))).map((weight, i) => weight - map[i]!)
    expect(size(moved(0.2)) / size(moved(0.1))).toBeCloseTo(2, 4)
    expect(size(moved(0.1))).toBeLessThan(0.5)
    expect(moved(0)).toEqual(new Float32Array(map.length))
    expect(size(map)).toBe(3)
  })
})
