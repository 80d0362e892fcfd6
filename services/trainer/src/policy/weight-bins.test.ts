import { binCount, binsOf, binWeights } from '@plateau/flatness'
import { expect, test } from 'vitest'
import { binPlaces, inverseFlatnessByBin, weightBinChoices, weightBins } from './weight-bins.js'

const chosen = weightBinChoices.flatMap((choice) => weightBins(choice) ?? [])

test('every choice of bins is one that a policy may name, with a place and a weight for each', () => {
  expect(chosen.map(binCount)).toEqual([5, 20])
  for (const bins of chosen) {
    expect(binPlaces(bins)).toHaveLength(binCount(bins))
    expect(binWeights({ ...bins, weights: inverseFlatnessByBin(bins) })).toBeDefined()
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

test('flatter bins weigh less without learning', () => {
  const weights = inverseFlatnessByBin(chosen[0]!)
  expect(weights).toEqual(weights.toSorted((a, b) => b - a))
  expect(weights[4]! / weights[0]!).toBeLessThan(0.25)
})
