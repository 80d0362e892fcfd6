import { hashToUnit } from '@plateau/flatness'
import type { DraftTargetModel } from '@plateau/model-files'
import { seededRandom } from '@plateau/speculation'
import type { SelectionWindow } from './selection-window.js'

/** A window of which only what selection looks at is of interest: two hidden numbers a state, two listed tokens a row. */
export function windowWith(
  sampleId: string,
  flatness: readonly number[],
  { domain = 'chat', overlap = flatness.map(() => 0.5) }: { domain?: string; overlap?: readonly number[] } = {},
): SelectionWindow {
  const n = flatness.length
  const fill = (value: number): Float32Array => new Float32Array(n).fill(value)
  return {
    domain,
    sampleId,
    rows: {
      length: n,
      tokens: Int32Array.from({ length: n }, (_, i) => i),
      features: Float32Array.from({ length: 2 * n }, (_, i) => i),
      nextFeatures: Float32Array.from({ length: 2 * n }, (_, i) => i + 2),
      listed: 2,
      listedIds: Int32Array.from({ length: 2 * n }, (_, i) => i),
      listedProbs: new Float32Array(2 * n).fill(0.5),
      weights: fill(1),
    },
    statistics: {
      flatness: Float32Array.from(flatness),
      entropy: fill(1),
      top1: fill(0.5),
      margin: fill(0.1),
      energy: fill(-10),
      tokenLogProb: fill(-1),
      draftOverlap: Float32Array.from(overlap),
      draftGain: fill(0.1),
      draftEntropy: fill(1),
      vocabSize: 100,
      perplexity: Math.E,
      lot: hashToUnit('testing', sampleId),
      sampleId,
      domain,
    },
  }
}

const H = 24
const V = 60

/** A target that is just large enough for the closed form's features, and windows of it that mean nothing. */
export function tinyTarget(seed: number) {
  const random = seededRandom(seed)
  const floats = (n: number): Float32Array => Float32Array.from({ length: n }, () => 2 * random() - 1)
  const target = {
    config: { hiddenSize: H, vocabSize: V, rmsNormEps: 1e-5 },
    target: { embeddings: floats(V * H), head: floats(V * H), norm: new Float32Array(H).fill(1) },
  } as unknown as DraftTargetModel
  const window = (sampleId: string, n: number): SelectionWindow => {
    const flatness = Array.from({ length: n }, () => 0.1 + 0.8 * random())
    const overlap = Array.from({ length: n }, () => random())
    const { rows, ...rest } = windowWith(sampleId, flatness, { overlap })
    const tokens = Int32Array.from({ length: n }, () => Math.floor(V * random()))
    const listedIds = rows.listedIds.map((id) => id % V)
    return { ...rest, rows: { ...rows, tokens, listedIds, features: floats(n * H), nextFeatures: floats(n * H) } }
  }
  return { target, window }
}
