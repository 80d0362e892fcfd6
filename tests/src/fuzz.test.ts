import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** The short run of `npm run fuzz`: as many inputs of every target as CI has time for, the same each time. */
const main = fileURLToPath(new URL('../../tools/fuzz/dist/main.js', import.meta.url))

interface Result {
  readonly target: string
  readonly runs: number
  readonly refused: number
  readonly defects: readonly { readonly problem: string }[]
}

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'plateau-fuzz-test-'))
})
afterAll(async () => rm(directory, { recursive: true }))

function fuzz(...args: string[]): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, '--failures', directory, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), output: `${stderr}${stdout}` })
    })
  })
}

test('no input of the short run does anything but what is documented', async () => {
  const { code, output } = await fuzz('--seed', '1')
  const last = output.trimEnd().split('\n').at(-1)!
  const { results } = (JSON.parse(last) as { readonly fuzz: { readonly results: readonly Result[] } }).fuzz
  expect(results.flatMap(({ target, defects }) => defects.map(({ problem }) => `${target}: ${problem}`))).toEqual([])
  expect(results.length).toBeGreaterThan(15)
  // Neither everything nor nothing is let through.
  expect(results.filter(({ runs, refused }) => runs <= 50 || refused >= runs)).toEqual([])
  expect(code).toBe(0)
}, 600_000)

test('what is not a target, a seed or a file is refused with one sentence', async () => {
  expect(await fuzz('--target', 'nothing')).toMatchObject({ code: 2, output: expect.stringContaining('"nothing"') })
  expect(await fuzz('--seed', '')).toMatchObject({ code: 2, output: expect.stringContaining('--seed') })
  expect(await fuzz('--replay', join(directory, 'gguf.none'))).toMatchObject({ code: 2 })
})
