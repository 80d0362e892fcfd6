import { TokenWindow, topics } from '@plateau/contracts'
import type { StepRows } from '@plateau/inference'
import { expect, it } from 'vitest'
import { ScoredRow } from './scored-row.js'
import { packWindow, positionsThatFit } from './window-builder.js'

/** A row with the largest ids there are. */
function wideRow(k: number, hiddenSize: number): ScoredRow {
  const rows: StepRows = {
    count: 1,
    topK: k,
    topIds: new Int32Array(k).fill(2 ** 31 - 1),
    topLogits: new Float32Array(k).fill(-3),
    logSumExp: Float32Array.of(1),
    sumSquares: Float32Array.of(0.5),
    entropy: Float32Array.of(2),
    scaledLogSumExp: Float32Array.of(1),
    hidden: new Float32Array(hiddenSize).fill(0.1),
    candidateLogits: [],
    features: new Float32Array(0),
    elapsedUs: 1,
  }
  return new ScoredRow(rows, 0, [], () => Promise.reject(new Error('not needed')))
}

it.each([
  [64, 384],
  [64, 8192],
  [1024, 4096],
  [1, 16],
])('a window of k = %d and H = %d is cut so that its record fits', (k, hiddenSize) => {
  const { maxRecordBytes } = topics.tokenDistributions
  const count = positionsThatFit(k, hiddenSize, maxRecordBytes)
  const row = wideRow(k, hiddenSize)
  const position = { token: 2 ** 31 - 1, row, tokenLogProb: -1.5, signals: { overlap: 0.5, gain: 0.1, entropy: 2 } }
  const origin = {
    targetFingerprint: 'f'.repeat(64),
    tokenizerHash: 't'.repeat(64),
    draftVersion: '123456',
    sampleId: 's'.repeat(200),
    tenant: 'tenant'.repeat(20),
    domain: 'domain'.repeat(20),
    vocabSize: 2 ** 31,
  }
  const positions = Array<typeof position>(count).fill(position)
  const place = { index: 1000, start: 100_000, last: false }
  const window = packWindow(origin, { token: 2 ** 31 - 1, feature: row.feature }, positions, Date.now(), place)
  const { length } = TokenWindow.encode(window).finish()
  expect(length).toBeLessThan(maxRecordBytes - 400)
  expect(length).toBeGreaterThan(0.9 * maxRecordBytes)
})
