import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Arm, Decision, topics } from '@plateau/contracts'
import { beforeAll, describe, expect, test } from 'vitest'
import { fileName, temporaryName } from '../export/file-names.js'
import { findPython, pythonWithReaders, runPython } from '../testing/python.js'
import { plateau } from '../testing/run-command.js'
import { temporaryDirectory, temporaryLog } from '../testing/temporary-log.js'
import { scoredRecord, scoredWindow } from '../testing/windows.js'

const python = await findPython()
if (python === undefined) {
  process.stderr.write(
    '\nSKIPPED: no python3 (3.11 or later, with venv) here: nobody checks that pandas and DuckDB read an export\n\n',
  )
  if (process.env['CI']) throw new Error('CI has to have python3')
}

interface Found {
  readonly rows: number
  readonly pandas_types: Record<string, string>
  readonly arrow_types: Record<string, string>
  readonly duckdb_types: Record<string, string>
  readonly [name: string]: unknown
}

describe.skipIf(python === undefined)('pandas, pyarrow and DuckDB', { timeout: 300_000 }, () => {
  let interpreter = ''
  beforeAll(async () => {
    interpreter = await pythonWithReaders(python!)
  }, 300_000)

  /** Two windows each of two responses, one of them dropped, and a held-out response; in several files. */
  async function exportAndRead(kind: 'windows' | 'tokens'): Promise<Found> {
    const { log, url } = await temporaryLog()
    const directory = temporaryDirectory()
    const windows = [
      scoredWindow('sample-0', { windowIndex: 0, tokenIds: [1, 2, 3] }),
      scoredWindow('sample-0', { windowIndex: 1, tokenIds: [4, 5], decision: Decision.DECISION_DROP }),
      scoredWindow('sample-1', { windowIndex: 0, tokenIds: [6], draftOverlap: [0.5] }),
      scoredWindow('sample-1', { windowIndex: 1, tokenIds: [7, 8], draftOverlap: [0.5, Number.NaN] }),
      scoredWindow('held-out', { windowIndex: 0, tokenIds: [9], arm: Arm.ARM_EVALUATION }),
    ]
    await log.producer().send(
      topics.scoredTokens.name,
      windows.map((window) => scoredRecord(window)),
    )
    const args = ['--to', directory, '--rows', kind, '--rows-per-file', '1', '--event-log', url]
    expect(await plateau(['export', 'scored-tokens', ...args])).toMatchObject({ code: 0 })
    // What a run that is writing now, or died writing, has there.
    const half = temporaryName(fileName({ partition: 0, first: 100, last: 200 }))
    writeFileSync(join(directory, half), 'PAR1')
    return JSON.parse(await runPython(interpreter, './read-with-python.py', directory, kind)) as Found
  }

  test('read a row for each window, lists as lists, and put responses together for a trainer', async () => {
    const found = await exportAndRead('windows')
    expect(found).toMatchObject({
      rows: 5,
      samples: ['held-out', 'sample-0', 'sample-1'],
      input_ids: [1, 2, 3],
      flatness: [0.25, 0.3125, 0.375],
      draft_overlap_is_null: true,
      captured_at: '2023-11-14T22:13:20+00:00',
      responses: [
        ['sample-0', [1, 2, 3, 4, 5], [1, 1, 1, 0, 0]],
        ['sample-1', [6, 7, 8], [1, 1, 1]],
      ],
    })
    expect(found.arrow_types).toMatchObject({
      sample_id: 'string',
      input_ids: expect.stringMatching(/^list<\w+: int32 not null>$/),
      flatness: expect.stringMatching(/^list<\w+: float not null>$/),
      captured_at: 'timestamp[ms, tz=UTC]',
      offset: 'int64',
    })
    expect(found.duckdb_types).toMatchObject({
      input_ids: 'INTEGER[]',
      loss_mask: 'INTEGER[]',
      entropy: 'FLOAT[]',
      captured_at: 'TIMESTAMP WITH TIME ZONE',
      source_offset: 'BIGINT',
      last: 'BOOLEAN',
    })
  })

  test('read a row for each token', async () => {
    const found = await exportAndRead('tokens')
    expect(found).toMatchObject({
      rows: 9,
      mean_flatness: [
        ['drop', (0.25 + 0.3125) / 2, 2],
        ['keep', (0.25 * 4 + 0.3125 * 2 + 0.375) / 7, 7],
      ],
    })
    expect(found.duckdb_types).toMatchObject({ token_id: 'INTEGER', flatness: 'FLOAT', draft_overlap: 'FLOAT' })
  })
})
