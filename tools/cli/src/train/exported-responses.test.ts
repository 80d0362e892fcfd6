import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Arm, type ScoredWindow } from '@plateau/contracts'
import { expect, test } from 'vitest'
import { rowKinds } from '../export/columns.js'
import { parquetFile } from '../export/parquet-file.js'
import { temporaryDirectory } from '../testing/temporary-log.js'
import { scoredWindow } from '../testing/windows.js'
import { readExportedResponses } from './exported-responses.js'

const FINGERPRINT = 'f'.repeat(64)

/** As the export writes it. */
function exported(windows: readonly ScoredWindow[], kind: 'windows' | 'tokens' = 'windows'): string {
  const path = join(temporaryDirectory(), 'scored-tokens-p0.parquet')
  const { columns, rowsOf } = rowKinds[kind]
  const rows = windows.flatMap((window, offset) =>
    rowsOf({ window, partition: 0, offset, ceId: `id${offset}`, timestampMs: 1_700_000_000_000 }),
  )
  writeFileSync(path, parquetFile(columns, rows, {}))
  return path
}

test('windows of a response are put together in order, pieces with a gap between them stay apart', async () => {
  const path = exported([
    scoredWindow('b', { startPosition: 3, tokenIds: [4, 5] }),
    scoredWindow('b', { startPosition: 0, tokenIds: [1, 2, 3] }),
    scoredWindow('a', { startPosition: 128, tokenIds: [7, 8] }),
    scoredWindow('b', { startPosition: 9, tokenIds: [6] }),
  ])
  const responses = await readExportedResponses(path, FINGERPRINT)
  expect(responses.map(({ sampleId, tokenIds }) => [sampleId, tokenIds])).toEqual([
    ['a@128', [7, 8]],
    ['b@0', [1, 2, 3, 4, 5]],
    ['b@9', [6]],
  ])
})

test('the evaluation arm stays what it is', async () => {
  const path = exported([scoredWindow('a', { arm: Arm.ARM_EVALUATION }), scoredWindow('b')])
  const responses = await readExportedResponses(path, FINGERPRINT)
  expect(responses.map(({ isForEvaluation }) => isForEvaluation)).toEqual([true, false])
})

test('tokens of another model are refused', async () => {
  await expect(readExportedResponses(exported([scoredWindow('a')]), '0'.repeat(64))).rejects.toThrow(
    'no windows of this target (1 of others)',
  )
})

test('an export with a row for each token is refused, saying what to do', async () => {
  await expect(readExportedResponses(exported([scoredWindow('a')], 'tokens'), FINGERPRINT)).rejects.toThrow(
    'export with one row for each window',
  )
})
