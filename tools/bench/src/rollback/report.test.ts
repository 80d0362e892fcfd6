import { expect, it } from 'vitest'
import { copyFigures } from './report.js'
import type { CopyOutcome } from './rounds.js'

const copy = (version: number, end: CopyOutcome['end'], seconds?: number): CopyOutcome => ({
  version,
  end,
  liveSeconds: seconds,
  confirmedSeconds: end === 'confirmed' && seconds !== undefined ? 2 * seconds : undefined,
  reason: '',
})

it('a copy that is rolled back after it was confirmed counts as one that should not have been', () => {
  const copies = [copy(1, 'confirmed', 3), copy(2, 'confirmed', 5), copy(3, 'rejected'), copy(4, 'undecided', 9)]
  const figures = copyFigures(copies, (version) => version === 2, 0.01)
  expect(figures).toMatchObject({ aaRuns: 4, falseRejections: 1, falseRollbacks: 1, undecided: 1, statedRate: 0.01 })
  expect(figures.toConfirmedSeconds).toEqual({ mean: 8, p50: 6, max: 10 })
  expect(figures.toLiveSeconds.max).toBe(9)
})
