import { expect, test } from 'vitest'
import { LiveVocabulary } from './live-vocabulary.js'

const options = { vocabSize: 6, draftVocabulary: 2 }

/** So many positions at which the target gave all probability to one token. */
const traffic = (tenant: string, token: number, positions: number) => ({
  tenant,
  rows: {
    length: positions,
    listed: 1,
    listedIds: new Int32Array(positions).fill(token),
    listedProbs: new Float32Array(positions).fill(1),
    tokens: new Int32Array(positions),
    features: new Float32Array(0),
    nextFeatures: new Float32Array(0),
    weights: new Float32Array(positions),
  },
})

test('the tokens that the target gives most to are chosen once enough is seen', () => {
  const live = new LiveVocabulary(options)
  live.add(traffic('', 4, 1500))
  expect(live.isDue).toBe(false)
  live.add(traffic('', 1, 1000))
  live.add(traffic('', 5, 10))
  expect(live.isDue).toBe(true)
  expect(live.choose(undefined)).toEqual(Int32Array.of(1, 4))
  expect(live.isDue).toBe(false)
})

test('tokens change only where that covers clearly more of the traffic, and the past fades', () => {
  const live = new LiveVocabulary(options)
  live.add(traffic('', 4, 5000))
  live.add(traffic('', 1, 1000))
  live.add(traffic('', 5, 1050))
  expect(live.choose(Int32Array.of(1, 4))).toBeUndefined()
  for (let i = 0; i < 3; i++) live.add(traffic('', 5, 33_000))
  expect(live.choose(Int32Array.of(1, 4))).toEqual(Int32Array.of(4, 5))
})

test('a tenant that is forgotten leaves nothing, and the rest continues from its saved counts', () => {
  const live = new LiveVocabulary(options)
  live.add(traffic('a', 4, 2000))
  live.add(traffic('b', 1, 1000))
  live.add(traffic('b', 2, 500))
  live.choose(undefined)
  live.forget('a')
  const { facts, tensors } = live.state
  const next = new LiveVocabulary(options, structuredClone({ facts, tensors }))
  expect(next.isDue).toBe(true)
  expect(next.choose(Int32Array.of(1, 4))).toEqual(Int32Array.of(1, 2))
})

test('counts are kept of 64 tenants; further ones are not counted until one is forgotten', () => {
  const live = new LiveVocabulary(options)
  for (let i = 0; i < 64; i++) live.add(traffic(`t${i}`, i % 2, 50))
  live.choose(undefined)
  live.add(traffic('late', 5, 30_000))
  live.add(traffic('t0', 0, 1))
  expect(live.isDue).toBe(false)
  expect(live.best()).toEqual(Int32Array.of(0, 1))
  expect(live.forget('late')).toBe(false)
  const { facts, tensors } = live.state
  expect(facts.tenants).toHaveLength(64)
  expect([...tensors.values()].reduce((sum, { bytes }) => sum + bytes.byteLength, 0)).toBe(live.mostBytes)

  expect(live.forget('t0')).toBe(true)
  live.add(traffic('late', 5, 30_000))
  expect(live.best()).toContain(5)
})

test('nothing is counted where every token can be proposed', () => {
  const live = new LiveVocabulary({ ...options, draftVocabulary: 0 })
  live.add(traffic('', 4, 100_000))
  expect(live.isDue).toBe(false)
  expect(live.state.tensors.size).toBe(0)
})
