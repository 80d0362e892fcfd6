// AssemblyScript, compiled by scripts/build-adamw.ts. src/adamw-reference.ts says the same in plain TypeScript.
// Addresses are in bytes and 16-byte aligned; counts are in elements.

/** Sum of squares. Infinite or NaN when an element is. */
export function sumOfSquares(values: usize, count: i32): f64 {
  let even = f32x4.splat(0)
  let odd = f32x4.splat(0)
  const end = values + ((<usize>count) << 2)
  let at = values
  for (; at + 32 <= end; at += 32) {
    const a = v128.load(at)
    const b = v128.load(at, 16)
    even = f32x4.add(even, f32x4.mul(a, a))
    odd = f32x4.add(odd, f32x4.mul(b, b))
  }
  const lanes = f32x4.add(even, odd)
  let sum = <f64>f32x4.extract_lane(lanes, 0)
  sum += <f64>f32x4.extract_lane(lanes, 1)
  sum += <f64>f32x4.extract_lane(lanes, 2)
  sum += <f64>f32x4.extract_lane(lanes, 3)
  for (; at < end; at += 4) {
    const value = load<f32>(at)
    sum += <f64>(value * value)
  }
  return sum
}

/**
 * m = beta1 m + gain1 g; v = beta2 v + gain2 g^2; w = decay w - rate m / (sqrt(v) + epsilon). The caller folds clipping
 * and bias correction into the scalars.
 */
export function adamw(
  w: usize,
  m: usize,
  v: usize,
  g: usize,
  count: i32,
  beta1: f32,
  gain1: f32,
  beta2: f32,
  gain2: f32,
  rate: f32,
  epsilon: f32,
  decay: f32,
): void {
  const b1 = f32x4.splat(beta1)
  const g1 = f32x4.splat(gain1)
  const b2 = f32x4.splat(beta2)
  const g2 = f32x4.splat(gain2)
  const r = f32x4.splat(rate)
  const e = f32x4.splat(epsilon)
  const d = f32x4.splat(decay)
  const bytes = (<usize>count) << 2
  let i: usize = 0
  for (; i + 16 <= bytes; i += 16) {
    const gradient = v128.load(g + i)
    const first = f32x4.add(f32x4.mul(v128.load(m + i), b1), f32x4.mul(gradient, g1))
    const second = f32x4.add(f32x4.mul(v128.load(v + i), b2), f32x4.mul(f32x4.mul(gradient, gradient), g2))
    v128.store(m + i, first)
    v128.store(v + i, second)
    const move = f32x4.mul(r, f32x4.div(first, f32x4.add(f32x4.sqrt(second), e)))
    v128.store(w + i, f32x4.sub(f32x4.mul(v128.load(w + i), d), move))
  }
  for (; i < bytes; i += 4) {
    const gradient = load<f32>(g + i)
    const first = load<f32>(m + i) * beta1 + gradient * gain1
    const second = load<f32>(v + i) * beta2 + gradient * gradient * gain2
    store<f32>(m + i, first)
    store<f32>(v + i, second)
    store<f32>(w + i, load<f32>(w + i) * decay - rate * (first / (sqrt<f32>(second) + epsilon)))
  }
}
