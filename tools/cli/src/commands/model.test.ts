import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { catalogue } from '@plateau/model-hub'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { plateau } from '../testing/run-command.js'

const demo = fileURLToPath(new URL('../../../../models/demo-target', import.meta.url))
let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'plateau-models-'))
})
afterEach(async () => rm(directory, { recursive: true }))

const pathOf = (entry: (typeof catalogue)[number]): string => join(directory, entry.name, entry.file)

test('what a model is, and what it takes, is read from its files', async () => {
  const { code, out } = await plateau(['model', 'inspect', demo, '--json'])
  expect(code).toBe(0)
  const facts = JSON.parse(out) as Record<string, unknown>
  expect(facts).toMatchObject({
    format: 'safetensors',
    family: 'llama',
    layers: 16,
    tokens: 4096,
    chatTemplate: false,
    weightBytes: { int4: null },
    fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
  })
  const parameters = Number(facts['parameters'])
  expect(facts['weightBytes']).toMatchObject({ f32: 4 * parameters })
  expect(facts['tensorTypes']).toEqual([{ type: 'F16', tensors: 16 * 9 + 2, parameters, bytes: 2 * parameters }])
  const { out: text } = await plateau(['model', 'inspect', demo])
  expect(text).toContain(`${(parameters / 1e6).toFixed(1)} M parameters`)
})

test('a model that was not fetched is named with the command that brings it', async () => {
  const listed = await plateau(['model', 'list', '--dir', directory])
  for (const { name } of catalogue) expect(listed.out).toMatch(new RegExp(`^${name} .*not fetched`, 'm'))
  const { name } = catalogue[0]!
  const refused = await plateau(['model', 'inspect', name], { environment: { PLATEAU_MODELS: directory } })
  expect(refused).toMatchObject({ code: 1 })
  expect(refused.err).toContain(`plateau model fetch ${name}`)
})

test('a file that is not the model is neither listed nor overwritten', async () => {
  const entry = catalogue[0]!
  await mkdir(dirname(pathOf(entry)), { recursive: true })
  await writeFile(pathOf(entry), '')
  await truncate(pathOf(entry), entry.bytes - 1)
  expect((await plateau(['model', 'list', '--dir', directory])).out).toContain('not fetched')
  const refused = await plateau(['model', 'fetch', entry.name, '--dir', directory])
  expect(refused).toMatchObject({ code: 1 })
  expect(refused.err).toContain('is not the expected file')
})

test.each([
  [['model', 'fetch'], 'NAME is missing'],
  [['model', 'inspect', 'a', 'b'], 'one PATH|NAME at a time'],
])('%j is wrong usage: %s', async (args, sentence) => {
  expect(await plateau(args)).toMatchObject({ code: 2, err: expect.stringContaining(sentence) as string })
})
