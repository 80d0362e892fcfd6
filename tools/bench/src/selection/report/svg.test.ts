import { expect, test } from 'vitest'
import { text, ticks, tickText } from './svg.js'

test('ticks are round, within the range, and written with the decimals that they need', () => {
  expect(ticks(-0.013, 0.001, 6)).toEqual([-0.0125, -0.01, -0.0075, -0.005, -0.0025, 0])
  expect(ticks(0, 97, 5)).toEqual([0, 20, 40, 60, 80])
  const values = ticks(-0.013, 0.001, 6)
  expect(values.map(tickText(values))).toEqual(['-0.0125', '-0.0100', '-0.0075', '-0.0050', '-0.0025', '0.0000'])
})

test('words are escaped', () => {
  expect(text(1, 2, 'N < 3 & more')).toContain('N &lt; 3 &amp; more')
})
