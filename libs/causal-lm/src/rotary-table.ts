import type { CausalLmConfig, RopeScaling } from './config.js'

type Rotary = Pick<CausalLmConfig, 'headDim' | 'ropeTheta' | 'ropeScaling'>

/** cos and sin of position times inverse frequency, [positions, headDim / 2] row-major. */
export function rotaryTable(config: Rotary, positions: number): { cos: Float32Array; sin: Float32Array } {
  const frequencies = inverseFrequencies(config)
  const half = frequencies.length
  const cos = new Float32Array(positions * half)
  const sin = new Float32Array(positions * half)
  for (let position = 0; position < positions; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position * frequencies[i]!
      cos[position * half + i] = Math.cos(angle)
      sin[position * half + i] = Math.sin(angle)
    }
  }
  return { cos, sin }
}

/** theta^(-2i / headDim) for every pair i, stretched as the configuration says: radians per position, [headDim / 2]. */
export function inverseFrequencies({ headDim, ropeTheta, ropeScaling }: Rotary): Float64Array {
  const plain = Float64Array.from({ length: headDim / 2 }, (_, i) => ropeTheta ** ((-2 * i) / headDim))
  return ropeScaling === undefined ? plain : plain.map((frequency, i) => scaled(frequency, i, ropeScaling))
}

function scaled(frequency: number, pair: number, scaling: RopeScaling): number {
  switch (scaling.kind) {
    case 'linear':
      return frequency / scaling.factor
    case 'factors':
      return frequency / scaling.factors[pair]!
    case 'llama3': {
      // How often the pair turns within the original context decides: seldom, it is slowed; often, it is kept.
      const turns = (scaling.originalMaxPositions * frequency) / (2 * Math.PI)
      const { factor, lowFrequencyFactor: low, highFrequencyFactor: high } = scaling
      const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)))
      return (1 - kept) * (frequency / factor) + kept * frequency
    }
  }
}
