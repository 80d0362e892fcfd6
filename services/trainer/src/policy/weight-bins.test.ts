import { binCount, binPlaces, binWeights } from '@plateau/flatness'
import { expect, test } from 'vitest'
import { weightBinChoices, weightBins } from './weight-bins.js'

const chosen = weightBinChoices.flatMap((choice) => weightBins(choice) ?? [])

test('every choice of bins is one that a policy may name, with a place for each', () => {
  expect(chosen.map(binCount)).toEqual([5, 20])
  for (const bins of chosen) {
    expect(binPlaces(bins)).toHaveLength(binCount(bins))
    expect(binWeights({ ...bins, weights: binPlaces(bins).map(() => 1) })).toBeDefined()
  }
})
