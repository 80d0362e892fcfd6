import { describe, expect, it } from 'vitest'
import { argmax, keptCount, sampleIndex, transformLogits } from './sampling.js'

const logits = [Math.log(0.4), Math.log(0.1), Math.log(0.3), Math.log(0.2)]
const all = { temperature: 1, topK: 0, topP: 1 }
const rounded = (values: ArrayLike<number>) => Array.from(values, (x) => Math.round(x * 1e9) / 1e9)

describe('the sampling transformation', () => {
  it('leaves p as it is at temperature 1 without truncation', () => {
    expect(rounded(transformLogits(logits, all))).toEqual(rounded([0.4, 0.1, 0.3, 0.2]))
  })

  it('squares and renormalises p at temperature one half', () => {
    expect(rounded(transformLogits(logits, { ...all, temperature: 0.5 }))).toEqual(
      rounded([16 / 30, 1 / 30, 9 / 30, 4 / 30]),
    )
  })

  it('puts everything on the most probable token at temperature 0, on the lowest id in a tie', () => {
    expect(Array.from(transformLogits([1, 3, 3, 2], { ...all, temperature: 0 }))).toEqual([0, 1, 0, 0])
  })

  it('keeps the top_k most probable tokens', () => {
    expect(rounded(transformLogits(logits, { ...all, topK: 2 }))).toEqual(rounded([4 / 7, 0, 3 / 7, 0]))
  })

  it('keeps the smallest set that reaches top_p, the token that crosses it included', () => {
    expect(rounded(transformLogits(logits, { ...all, topP: 0.69 }))).toEqual(rounded([4 / 7, 0, 3 / 7, 0]))
    expect(rounded(transformLogits(logits, { ...all, topP: 0.71 }))).toEqual(rounded([4 / 9, 0, 3 / 9, 2 / 9]))
    expect(rounded(transformLogits(logits, { ...all, topP: 1e-9 }))).toEqual(rounded([1, 0, 0, 0]))
  })

  it('applies top_p to what top_k left, renormalised', () => {
    // After top_k = 2: 4/7 and 3/7; .55 is reached by the first alone, which held only .4 before.
    expect(rounded(transformLogits(logits, { ...all, topK: 2, topP: 0.55 }))).toEqual(rounded([1, 0, 0, 0]))
  })

  it('settles ties at the border for the lowest ids', () => {
    expect(Array.from(transformLogits([0, 0, 0, 0], { ...all, topK: 2 }))).toEqual([0.5, 0.5, 0, 0])
  })

  it('survives logits of minus infinity and very large ones', () => {
    expect(rounded(transformLogits([Number.NEGATIVE_INFINITY, 1000, 1000], all))).toEqual(rounded([0, 0.5, 0.5]))
  })
})

describe('how many tokens are kept', () => {
  it('is unknown when the listing ends too early', () => {
    expect(keptCount([0.4, 0.3], 10, { ...all, topP: 0.8 })).toBeUndefined()
    expect(keptCount([0.4, 0.3], 10, { ...all, topK: 3 })).toBeUndefined()
    expect(keptCount([0.4, 0.3], 10, { ...all, topK: 3, topP: 0.1 })).toBeUndefined()
  })

  it('is everything without truncation, however short the listing', () => {
    expect(keptCount([0.4], 10, all)).toBe(10)
    expect(keptCount([0.4], 10, { ...all, topK: 10 })).toBe(10)
  })

  it('is found within the listing when that suffices', () => {
    expect(keptCount([0.4, 0.3], 10, { ...all, topP: 0.7 })).toBe(2)
    expect(keptCount([0.4, 0.3], 10, { ...all, topK: 1, topP: 0.7 })).toBe(1)
  })
})

describe('drawing an index', () => {
  it('maps u through the cumulated weights', () => {
    const weights = [1, 0, 3]
    expect(sampleIndex(weights, 0)).toBe(0)
    expect(sampleIndex(weights, 0.249)).toBe(0)
    expect(sampleIndex(weights, 0.25)).toBe(2)
    expect(sampleIndex(weights, 0.999999)).toBe(2)
  })

  it('never returns an index of weight 0, even beyond the end', () => {
    expect(sampleIndex([0, 1, 0], 0)).toBe(1)
    expect(sampleIndex([0.1, 0.2, 0], 1)).toBe(1)
    expect(() => sampleIndex([0, 0], 0.5)).toThrow('no weight is positive')
  })
})

it('takes the lowest id among equals', () => {
  expect(argmax([2, 5, 5])).toBe(1)
})
