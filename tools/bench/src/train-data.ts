/** Random batches of the shapes that training sees. What is in them does not matter to the time of a step. */
import type { FeatureHeadConfig } from '@plateau/causal-lm'
import type { Random } from '@plateau/speculation'
import type { DraftRows, LanguageModelBatch } from '@plateau/training'

/** Probabilities fall by half from one listed token to the next; a tail is left. */
export function softTargetBatch(
  vocabSize: number,
  { sequences, positions, targetsPerRow: k }: { sequences: number; positions: number; targetsPerRow: number },
  random: Random,
): LanguageModelBatch {
  const rows = sequences * positions
  const token = () => Math.floor(random() * vocabSize)
  const firstIds = Array.from({ length: rows }, token)
  return {
    sequences,
    positions,
    targetsPerRow: k,
    inputIds: BigInt64Array.from({ length: rows }, () => BigInt(token())),
    targetIds: BigInt64Array.from({ length: rows * k }, (_, i) =>
      BigInt((firstIds[Math.floor(i / k)]! + (i % k) * 131) % vocabSize),
    ),
    targetProbs: Float32Array.from({ length: rows * k }, (_, i) => 2 ** -((i % k) + 1)),
    rowWeights: new Float32Array(rows).fill(1 / rows),
  }
}

export function randomWindow(
  config: FeatureHeadConfig,
  shape: { readonly positions: number; readonly listedTokens: number },
  random: Random,
): DraftRows {
  const { positions: length, listedTokens: listed } = shape
  const first = Array.from({ length }, () => Math.floor(random() * config.vocabSize))
  return {
    length,
    tokens: Int32Array.from(first),
    features: randomFloats(length * config.hiddenSize, random, 1),
    nextFeatures: randomFloats(length * config.hiddenSize, random, 1),
    listed,
    listedIds: Int32Array.from(
      { length: length * listed },
      (_, i) => (first[Math.floor(i / listed)]! + (i % listed) * 61) % config.vocabSize,
    ),
    listedProbs: Float32Array.from({ length: length * listed }, (_, i) => 0.4 * 0.6 ** (i % listed)),
    weights: new Float32Array(length).fill(1),
  }
}

/** Uniform in [-size, size). */
export function randomFloats(count: number, random: Random, size: number): Float32Array {
  return Float32Array.from({ length: count }, () => size * (2 * random() - 1))
}
