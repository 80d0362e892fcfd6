import { expect, test } from 'vitest'
import { inverseFrequencies, rotaryTable } from './rotary-table.js'

const plain = { headDim: 64, ropeTheta: 500_000 }
const llama3 = {
  kind: 'llama3',
  factor: 8,
  lowFrequencyFactor: 1,
  highFrequencyFactor: 4,
  originalMaxPositions: 8192,
} as const

test('the table holds the angles of every position', () => {
  const { cos, sin } = rotaryTable({ headDim: 4, ropeTheta: 100 }, 3)
  expect(cos[2 * 2 + 1]).toBeCloseTo(Math.cos(2 / 10), 7)
  expect(sin[2 * 2]).toBeCloseTo(Math.sin(2), 7)
})

test('linear scaling slows every pair alike', () => {
  const slowed = inverseFrequencies({ ...plain, ropeScaling: { kind: 'linear', factor: 4 } })
  inverseFrequencies(plain).forEach((frequency, i) => expect(slowed[i]! * 4).toBeCloseTo(frequency, 14))
})

test('Llama 3 keeps short waves, slows long ones by its factor, and goes smoothly from one to the other', () => {
  const slowed = inverseFrequencies({ ...plain, ropeScaling: llama3 })
  const ratios = inverseFrequencies(plain).map((frequency, i) => frequency / slowed[i]!)
  expect(ratios[0]).toBe(1)
  expect(ratios.at(-1)).toBeCloseTo(8, 12)
  expect(ratios).toEqual(ratios.toSorted())
  // Wave lengths of 2048 (8192 / 4) and 8192 (8192 / 1) positions bound what lies in between.
  const between = [...ratios].filter((ratio) => ratio > 1 + 1e-9 && ratio < 8 - 1e-9).length
  const waves = [...inverseFrequencies(plain)].map((frequency) => (2 * Math.PI) / frequency)
  expect(between).toBe(waves.filter((wave) => wave > 2048 && wave < 8192).length)
})

test('factors that a file lists divide pair by pair', () => {
  const factors = Array.from({ length: 32 }, (_, i) => 1 + i)
  const slowed = inverseFrequencies({ ...plain, ropeScaling: { kind: 'factors', factors } })
  inverseFrequencies(plain).forEach((frequency, i) => expect(slowed[i]).toBe(frequency / (1 + i)))
})
