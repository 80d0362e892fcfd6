import { describe, expect, it } from 'vitest'
import { flatnessFromProbabilities } from './flatness.js'
import { flatnessInterval, rounding, type Interval } from './flatness-interval.js'
import { distribution, seeded, tailOf } from './testing.js'

const formats = {
  none: (p: Float64Array) => p,
  fp32: (p: Float64Array) => Float32Array.from(p),
  fp16: (p: Float64Array) => Float64Array.from(p, (x) => toHalf(Math.fround(x))),
}

/** The nearest IEEE binary16 number, written out: ten fraction bits, subnormals below 2^-14. For x in [0, 1]. */
function toHalf(x: number): number {
  if (x === 0) return 0
  const unit = 2 ** (Math.max(Math.floor(Math.log2(x)), -14) - 10)
  const low = Math.floor(x / unit)
  const rest = x / unit - low
  return unit * (rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low)
}

function intervalOf(p: Float64Array, k: number, format: keyof typeof formats): Interval {
  const probabilities = formats[format](p.subarray(0, k))
  const tailMass = Math.fround(tailOf(p, k))
  return flatnessInterval({ probabilities, start: 0, k, tailMass, vocabSize: p.length, rounding: rounding[format] })
}

/** Whether it contains `exact`, give or take the reference's own error: it sums up to 150,000 doubles one by one. */
function contains(interval: Interval, exact: number): boolean {
  return interval.low <= exact * (1 + 1e-11) && interval.high >= exact * (1 - 1e-11)
}

describe('the certified interval', () => {
  for (const format of ['none', 'fp32', 'fp16'] as const) {
    it(`contains the exact flatness of random distributions stored as ${format}`, () => {
      const random = seeded(7)
      for (let draw = 0; draw < 400; draw++) {
        const vocabSize = 2 + Math.floor(random() * 300)
        const p = distribution(random, vocabSize, random() * 25)
        const k = 1 + Math.floor(random() * vocabSize)
        const what = `V=${vocabSize} k=${k} draw ${draw}`
        expect([what, contains(intervalOf(p, k, format), flatnessFromProbabilities(p))]).toEqual([what, true])
      }
    })

    it(`contains it at V=150,000, peaked, flat and uniform, stored as ${format}`, () => {
      for (const peak of [0, 1, 6, 30]) {
        const p = distribution(seeded(peak), 150_000, peak)
        for (const k of [1, 8, 64]) {
          expect([`peak=${peak} k=${k}`, contains(intervalOf(p, k, format), flatnessFromProbabilities(p))]).toEqual([
            `peak=${peak} k=${k}`,
            true,
          ])
        }
      }
    })
  }

  it('contains it where the tail is as uneven as it can be: ties with p_k, then zeros', () => {
    const p = new Float64Array(1000)
    p.fill(0.125, 0, 8)
    for (const k of [1, 2, 7, 8, 9]) {
      for (const format of ['none', 'fp32', 'fp16'] as const) {
        expect([`${format} k=${k}`, contains(intervalOf(p, k, format), flatnessFromProbabilities(p))]).toEqual([
          `${format} k=${k}`,
          true,
        ])
      }
    }
  })

  it('reaches its ends: an even tail the high one, a tail on ties of p_k the low one', () => {
    const even = new Float64Array(104).fill(0.5 / 100)
    even.fill(0.125, 0, 4)
    const exact = (p: Float64Array): number => flatnessFromProbabilities(p)
    const options = { start: 0, rounding: rounding.none, tailError: 0 }
    const ofEven = flatnessInterval({ ...options, probabilities: even, k: 4, tailMass: 0.5, vocabSize: 104 })
    expect(ofEven.high).toBeCloseTo(exact(even), 9)
    const tied = new Float64Array(104)
    tied.fill(0.125, 0, 8)
    const ofTied = flatnessInterval({ ...options, probabilities: tied, k: 4, tailMass: 0.5, vocabSize: 104 })
    expect(ofTied.low).toBeCloseTo(exact(tied), 9)
  })

  it('is tight when the tail is empty, or when every token is listed', () => {
    const p = new Float64Array(5000)
    p.set([0.5, 0.25, 0.125, 0.125])
    const emptyTail = intervalOf(p, 16, 'fp32')
    expect(['empty tail', contains(emptyTail, flatnessFromProbabilities(p))]).toEqual(['empty tail', true])
    expect(emptyTail.high / emptyTail.low - 1).toBeLessThan(1e-6)
    // fp16 itself is good to 2^-11 either way: the interval is no wider than that.
    const half = intervalOf(p, 16, 'fp16')
    expect(half.high / half.low - 1).toBeLessThan(1.01 * 2 ** -10)
    const all = intervalOf(distribution(seeded(3), 50, 4), 50, 'none')
    expect(all.high / all.low - 1).toBeLessThan(1e-9)
  })

  it('contains the distribution that fp16 could not hold: probabilities below its smallest number', () => {
    const p = new Float64Array(100_000).fill(1e-8)
    p[0] = 1 - 99_999e-8
    const interval = intervalOf(p, 64, 'fp16')
    expect(['underflow', contains(interval, flatnessFromProbabilities(p))]).toEqual(['underflow', true])
  })

  it('contains it when the tail was computed in fp32 as one minus a sum', () => {
    const random = seeded(11)
    for (let draw = 0; draw < 200; draw++) {
      const p = distribution(random, 4096, random() * 20)
      const listed = Float32Array.from(p.subarray(0, 64))
      const tailMass = Math.max(0, Math.fround(1 - listed.reduce((sum, x) => Math.fround(sum + x), 0)))
      const known = { probabilities: listed, start: 0, k: 64, tailMass, vocabSize: 4096, rounding: rounding.fp32 }
      expect([`draw ${draw}`, contains(flatnessInterval(known), flatnessFromProbabilities(p))]).toEqual([
        `draw ${draw}`,
        true,
      ])
    }
  })

  it('stays within [1/sqrt(V), 1]', () => {
    const one = { start: 0, k: 1, vocabSize: 100, rounding: rounding.fp16 }
    const sure = flatnessInterval({ ...one, probabilities: [1], tailMass: 0 })
    expect(sure.low).toBe(0.1)
    const uniform = flatnessInterval({ ...one, probabilities: [0.01], tailMass: 0.99 })
    expect(uniform.high).toBe(1)
  })
})
