import type { CausalLmConfig } from './config.js'

/** cos and sin of position / theta^(2i / headDim), [positions, headDim / 2] row-major. */
export function rotaryTable(
  config: Pick<CausalLmConfig, 'headDim' | 'ropeTheta'>,
  positions: number,
): { cos: Float32Array; sin: Float32Array } {
  const half = config.headDim / 2
  const cos = new Float32Array(positions * half)
  const sin = new Float32Array(positions * half)
  for (let position = 0; position < positions; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position / config.ropeTheta ** ((2 * i) / config.headDim)
      cos[position * half + i] = Math.cos(angle)
      sin[position * half + i] = Math.sin(angle)
    }
  }
  return { cos, sin }
}
