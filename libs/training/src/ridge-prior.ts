/**
 * What a closed form knew, small enough to be shipped with its head, so that learning goes on from there instead of from
 * nothing. The prior holds gram per position as correlations in 16 bits and a scale per input:
 *
 *   gram[i, j] = n s[i] s[j] c[i, j]        s[i] = sqrt(gram[i, i] / weight)        n = the positions it stands for
 *
 * and the moment follows from the head that was solved with it: moment = gram W. Solved without anything else it is that
 * head again; every position seen since counts one against its n. It is added to the sums like any others and decays like
 * them.
 */
import { emptySums, type RidgeSums } from './ridge-sums.js'

export interface RidgePrior {
  /** D. */
  readonly inputs: number
  /** s, [D]. */
  readonly scales: Float32Array
  /** 32767 c below the diagonal, row by row, [D (D - 1) / 2]. */
  readonly correlations: Int16Array
}

const UNIT = 32767
/** Correlations are rounded by up to 1 / 65534, which may take this much from the smallest eigenvalue. */
const JITTER = 2e-3

export function ridgePrior({ inputs, gram, weight }: RidgeSums): RidgePrior {
  const diagonal = Float64Array.from({ length: inputs }, (_, i) => gram[i * inputs + i]!)
  const bad = diagonal.findIndex((value) => !(value > 0))
  if (bad >= 0) throw new RangeError(`input ${bad} of ${inputs} was never seen: its sum of squares is ${diagonal[bad]}`)
  const correlations = new Int16Array((inputs * (inputs - 1)) / 2)
  for (let i = 0, at = 0; i < inputs; i++) {
    for (let j = 0; j < i; j++, at++) {
      const c = gram[i * inputs + j]! / Math.sqrt(diagonal[i]! * diagonal[j]!)
      correlations[at] = Math.round(Math.min(1, Math.max(-1, c)) * UNIT)
    }
  }
  return { inputs, scales: Float32Array.from(diagonal, (value) => Math.sqrt(value / weight)), correlations }
}

/** The prior as sums that count as `positions` rows; their moment is still 0: it is gram W (RidgeSolver.moment). */
export function priorSums(prior: RidgePrior, outputs: number, positions: number): RidgeSums {
  const { inputs, scales, correlations } = prior
  if (!(positions > 0) || positions === Infinity)
    throw new RangeError(`a prior cannot stand for ${positions} positions`)
  const sums = emptySums(inputs, outputs)
  for (let i = 0, at = 0; i < inputs; i++) {
    const factor = positions * scales[i]!
    for (let j = 0; j < i; j++, at++) sums.gram[i * inputs + j] = (factor * scales[j]! * correlations[at]!) / UNIT
    sums.gram[i * inputs + i] = factor * scales[i]! * (1 + JITTER)
  }
  sums.weight = positions
  return sums
}

const MAGIC = 'PLPRIOR1'

/** "PLPRIOR1", D (u32), 4 bytes of nothing, the scales (f32), the correlations (i16): little-endian. */
export function encodeRidgePrior({ inputs, scales, correlations }: RidgePrior): Uint8Array {
  const bytes = new Uint8Array(MAGIC.length + 8 + scales.byteLength + correlations.byteLength)
  bytes.set(new TextEncoder().encode(MAGIC))
  new DataView(bytes.buffer).setUint32(MAGIC.length, inputs, true)
  bytes.set(new Uint8Array(scales.buffer, scales.byteOffset, scales.byteLength), MAGIC.length + 8)
  const rest = new Uint8Array(correlations.buffer, correlations.byteOffset, correlations.byteLength)
  bytes.set(rest, MAGIC.length + 8 + scales.byteLength)
  return bytes
}

/** Throws RangeError when the bytes are not what encodeRidgePrior writes. */
export function decodeRidgePrior(bytes: Uint8Array): RidgePrior {
  const start = MAGIC.length + 8
  if (bytes.length < start || new TextDecoder().decode(bytes.subarray(0, MAGIC.length)) !== MAGIC) {
    throw new RangeError(`${bytes.length} bytes do not begin like a prior`)
  }
  const inputs = new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC.length, true)
  const pairs = (inputs * (inputs - 1)) / 2
  if (inputs < 1 || bytes.length !== start + 4 * inputs + 2 * pairs) {
    throw new RangeError(`a prior of ${inputs} inputs has ${bytes.length} bytes: truncated?`)
  }
  // A copy, which begins at 0: slice of a Buffer is none.
  const { buffer } = new Uint8Array(bytes)
  const scales = new Float32Array(buffer, start, inputs)
  const bad = scales.findIndex((scale) => !(scale > 0) || scale === Infinity)
  if (bad >= 0) throw new RangeError(`scale ${bad} of a prior is ${scales[bad]}`)
  return { inputs, scales, correlations: new Int16Array(buffer, start + 4 * inputs) }
}
