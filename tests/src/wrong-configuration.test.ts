import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { tinyModel } from './models.js'
import { runToEnd } from './service-process.js'

const scratch = mkdtempSync(join(tmpdir(), 'plateau-wrong-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const target = {
  PLATEAU_EVENT_LOG: `embedded:${join(scratch, 'log')}`,
  PLATEAU_OPS_PORT: '0',
  PLATEAU_TARGET_ADDRESS: '127.0.0.1:0',
}

/** A copy of the tiny model, changed. */
function damagedModel(name: string, change: (directory: string) => void): string {
  const directory = join(scratch, name)
  cpSync(tinyModel, directory, { recursive: true })
  change(directory)
  return directory
}

/** Changes the JSON header of model.safetensors in place, keeping its length. */
function editHeader(directory: string, from: string, to: string): void {
  const file = join(directory, 'model.safetensors')
  const bytes = readFileSync(file)
  const length = Number(bytes.readBigUInt64LE(0))
  const header = bytes.toString('utf8', 8, 8 + length)
  if (!header.includes(from) || from.length !== to.length) throw new Error(`cannot put ${to} for ${from}`)
  bytes.write(header.replace(from, to), 8, 'utf8')
  writeFileSync(file, bytes)
}

function editConfig(directory: string, change: Record<string, unknown>): void {
  const file = join(directory, 'config.json')
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), ...change }))
}

test('every wrong setting is named at once, with what is allowed', async () => {
  const ended = await runToEnd('target-model', {
    ...target,
    PLATEAU_MODEL: join(scratch, 'nowhere'),
    PLATEAU_MAX_SEQUENCES: 'many',
    PLATEAU_MODLE: 'x',
  })
  expect(ended.code).toBe(2)
  expect(ended.output).toContain('PLATEAU_MODEL')
  expect(ended.output).toContain('nowhere')
  expect(ended.output).toContain('PLATEAU_MAX_SEQUENCES')
  expect(ended.output).toContain('PLATEAU_MODLE')
})

test.each([
  ['a directory without a model', (d: string) => rmSync(join(d, 'config.json')), /config\.json/],
  [
    'a missing tensor',
    (d: string) => editHeader(d, 'model.norm.weight', 'model.nomr.weight'),
    /model\.no(rm|mr)\.weight/,
  ],
  ['a wrong shape', (d: string) => editConfig(d, { intermediate_size: 96 }), /mlp\.|intermediate/],
  ['a truncated file', (d: string) => truncateSync(join(d, 'model.safetensors'), 100_000), /model\.safetensors/],
  [
    'an unsupported architecture',
    (d: string) => editConfig(d, { architectures: ['GPT2LMHeadModel'] }),
    /GPT2LMHeadModel/,
  ],
] as const)('target-model names %s and ends', async (name, change, named) => {
  const model = damagedModel(name.replaceAll(' ', '-'), change)
  const ended = await runToEnd('target-model', { ...target, PLATEAU_MODEL: model })
  expect(ended.code).not.toBe(0)
  expect(ended.code).not.toBe('SIGKILL')
  const fatal = ended.output.split('\n').find((line) => line.includes('"level":"fatal"')) ?? '{}'
  const said = JSON.parse(fatal) as Readonly<Record<string, unknown>>
  expect(said['exception.message']).toMatch(named)
  expect(said['error.type']).toMatch(/^[A-Z_]+$/)
})

test('an event log in a file is refused, naming it', async () => {
  const file = join(scratch, 'not-a-directory')
  writeFileSync(file, 'x')
  const ended = await runToEnd('flatness-scorer', { PLATEAU_EVENT_LOG: `embedded:${file}`, PLATEAU_OPS_PORT: '0' })
  expect(ended.code).not.toBe(0)
  expect(ended.output).toContain('not-a-directory')
})
