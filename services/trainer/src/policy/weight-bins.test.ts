import { binCount, binsOf, binWeights } from '@plateau/flatness'
import { expect, test } from 'vitest'
import { binPlaces, weightBinChoices, weightBins } from './weight-bins.js'

const chosen = weightBinChoices.flatMap((choice) => weightBins(choice) ?? [])

test('every choice of bins is one that a policy may name, with a place for each', () => {
  expect(chosen.map(binCount)).toEqual([5, 20])
  for (const bins of chosen) {
    expect(binPlaces(bins)).toHaveLength(binCount(bins))
    expect(binWeights({ ...bins, weights: binPlaces(bins).map(() => 1) })).toBeDefined()
  }
})

test('places are rows of flatness and columns of the gap; where no draft proposed there is none', () => {
  const [byFlatness, byBoth] = chosen
  expect(binPlaces(byFlatness!)).toEqual([[0], [1], [2], [3], [4]])
  const positions = { flatness: Float32Array.of(1, 1, 1), draftOverlap: Float32Array.of(Number.NaN, 0.9, 0.1) }
  const bins = binsOf(byBoth!, { ...positions, vocabSize: 100 })
  expect([...bins].map((bin) => binPlaces(byBoth!)[bin])).toEqual([
    [4, Number.NaN],
    [4, 1],
    [4, 3],
  ])
})
