/**
 * AdamW (Loshchilov and Hutter, 2019) with clipping by the global gradient norm, in plain TypeScript: what the WASM
 * kernel computes, said as in the paper. Symbols: g gradient, m and v its first and second moments, t the step.
 */
export interface AdamWOptions {
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  /** Applied to matrices; vectors (norms, scales) do not decay. */
  readonly weightDecay: number
  /** Longer gradients are scaled down to this norm. */
  readonly maxGradientNorm: number
}

export const defaultAdamWOptions: AdamWOptions = {
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.1,
  maxGradientNorm: 1,
}

export interface AdamWArrays {
  readonly w: Float32Array
  readonly m: Float32Array
  readonly v: Float32Array
  readonly g: Float32Array
}

/** One step of one parameter. `t` counts from 1; `clip` is min(1, maxGradientNorm / norm). */
export function adamwReferenceStep(
  { w, m, v, g }: AdamWArrays,
  t: number,
  learningRate: number,
  clip: number,
  weightDecay: number,
  options: AdamWOptions,
): void {
  const { beta1, beta2, epsilon } = options
  for (let i = 0; i < w.length; i++) {
    const gradient = clip * g[i]!
    m[i] = beta1 * m[i]! + (1 - beta1) * gradient
    v[i] = beta2 * v[i]! + (1 - beta2) * gradient ** 2
    const unbiasedM = m[i]! / (1 - beta1 ** t)
    const unbiasedV = v[i]! / (1 - beta2 ** t)
    w[i] = w[i]! - learningRate * weightDecay * w[i]! - (learningRate * unbiasedM) / (Math.sqrt(unbiasedV) + epsilon)
  }
}
