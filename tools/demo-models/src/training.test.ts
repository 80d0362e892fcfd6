import { buildTrainGraph, referenceForward } from '@plateau/causal-lm'
import { loadTokenizer, readModelDirectory } from '@plateau/model-files'
import { seededRandom } from '@plateau/speculation'
import { writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { modelsFolder, type Corpus } from './corpus.js'
import { heldOutBatches, trainingBatches } from './training-data.js'
import { presets } from './training-presets.js'
import { loadProgress, saveProgress } from './training-progress-file.js'

const shape = { sequences: 4, positions: 8 }

describe('batches', () => {
  const corpus: Corpus = {
    domains: [
      { name: 'sotu', train: count(0, 900), heldOut: count(5000, 400) },
      { name: 'typescript', train: count(1000, 90), heldOut: count(6000, 400) },
    ],
    vocabSize: 4096,
    endOfTextId: 0,
  }

  it('hold the same number of runs of every domain, however much text each has', () => {
    const next = trainingBatches(corpus, shape, seededRandom(1))
    for (let i = 0; i < 20; i++) {
      const starts = [0, 1, 2, 3].map((run) => Number(next().inputIds[run * shape.positions]))
      expect(starts.map((id) => id >= 1000)).toEqual([false, true, false, true])
    }
  })

  it('never hold held-out text', () => {
    const next = trainingBatches(corpus, shape, seededRandom(1))
    const ids = Array.from({ length: 50 }, () => [...next().inputIds, ...next().targetIds]).flat()
    expect(ids.every((id) => id < 5000n)).toBe(true)
  })

  it('of held-out text are the same each time and spread over all of it', () => {
    const [first, second] = [0, 1].map(() => heldOutBatches(corpus.domains[0]!, shape, 3))
    expect(first).toEqual(second)
    const starts = first!.flatMap(({ inputIds }) => [0, 1, 2, 3].map((run) => Number(inputIds[run * 8]) - 5000))
    expect(starts[0]).toBe(0)
    expect(starts.at(-1)!).toBeGreaterThan(340)
    expect(() => heldOutBatches(corpus.domains[0]!, shape, 200)).toThrow('too little held-out text')
  })
})

it('saved progress comes back whole, and a half-written file is never read', async () => {
  const file = join(await mkdtemp(join(tmpdir(), 'plateau-progress-')), 'deep', 'model.bin')
  expect(loadProgress(file)).toBeUndefined()
  const arrays = (seed: number) =>
    new Map([
      ['a.weight', Float32Array.of(seed, 1.5, -0)],
      ['ü', Float32Array.of(seed + 0.25)],
    ])
  const optimizer = { steps: 7, parameters: arrays(1), firstMoments: arrays(2), secondMoments: arrays(3) }
  const progress = { layers: 8, elapsedMs: 1234.5, tokens: 99, optimizer }
  saveProgress(file, progress)
  writeFileSync(`${file}.partial`, 'torn')
  expect(loadProgress(file)).toEqual(progress)
})

it.each(Object.entries(presets))('the stages of %s deepen evenly to the whole model', (_, { stages, config }) => {
  expect(stages.at(-1)).toEqual({ layers: config.layers, until: 1 })
  for (let i = 1; i < stages.length; i++) {
    expect(stages[i]!.layers % stages[i - 1]!.layers).toBe(0)
    expect(stages[i]!.until).toBeGreaterThan(stages[i - 1]!.until)
  }
  expect(() => buildTrainGraph(config, { ...shape, targetsPerRow: 1 })).not.toThrow()
})

it('the tiny target knows its text far better than chance', async () => {
  const folder = join(modelsFolder, 'tiny-target')
  const { config, parameters } = await readModelDirectory(folder)
  const tokenizer = await loadTokenizer(folder)
  const text = 'The Congress of the United States, and the people of the nation, will be able to make the most of it.'
  const ids = [config.eosTokenIds[0]!, ...tokenizer.encode(text)]
  const { logits } = referenceForward(config, parameters, ids.slice(0, -1))
  const losses = logits.map((row, t) => Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0)) - row[ids[t + 1]!]!)
  expect(losses.reduce((a, b) => a + b, 0) / losses.length).toBeLessThan(Math.log(config.vocabSize) - 3)
})

function count(from: number, length: number): Uint16Array {
  return Uint16Array.from({ length }, (_, i) => from + i)
}
