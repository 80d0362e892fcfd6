// Rounding to fp32 that never narrows an interval: a certified bound stays certified when it is stored as a float.

const value = new Float32Array(1)
const bits = new Int32Array(value.buffer)

/** The largest fp32 number that is not above x. */
export function float32AtMost(x: number): number {
  value[0] = x
  return value[0] <= x ? value[0] : step(-1)
}

/** The smallest fp32 number that is not below x. */
export function float32AtLeast(x: number): number {
  value[0] = x
  return value[0] >= x ? value[0] : step(1)
}

/** The neighbour of `value` towards +infinity (1) or -infinity (-1). Finite numbers only. */
function step(direction: 1 | -1): number {
  if (value[0] === 0) return direction * 2 ** -149
  // Bit patterns of floats of one sign are ordered by magnitude.
  bits[0]! += value[0]! > 0 ? direction : -direction
  return value[0]!
}
