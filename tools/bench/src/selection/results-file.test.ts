import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ArmResult } from './arm-result.js'
import { parseResults, ResultsFile, type ResultsHeader } from './results-file.js'

let folder: string
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'results-'))))
afterAll(() => rm(folder, { recursive: true }))

const header = (fingerprint: string) => ({ dataset: { fingerprint }, machine: {} }) as unknown as ResultsHeader
const result = (seed: number) => ({ experiment: 'closed-form', seed, alpha: 1 / 3 }) as unknown as ArmResult

test('another process finds what was done, and goes on behind a line that a killed one did not finish', async () => {
  const path = join(folder, 'killed.jsonl')
  await (await ResultsFile.open(path, header('a'))).add(result(1))
  await appendFile(path, '{"experiment":"clos')
  const again = await ResultsFile.open(path, header('a'))
  expect([again.has(result(1)), again.has(result(2))]).toEqual([true, false])
  await again.add(result(2))
  expect(parseResults(await readFile(path, 'utf8')).results.map(({ seed }) => seed)).toEqual([1, 2])
})

test('numbers are kept to five decimals', async () => {
  const file = await ResultsFile.open(join(folder, 'rounded.jsonl'), header('a'))
  await file.add(result(1))
  expect(parseResults(await readFile(file.path, 'utf8')).results[0]!.alpha).toBe(0.33333)
})

test('results of other windows are not gone on with', async () => {
  const path = join(folder, 'other.jsonl')
  await ResultsFile.open(path, header('a'))
  await expect(ResultsFile.open(path, header('b'))).rejects.toThrow('is of other windows')
})
