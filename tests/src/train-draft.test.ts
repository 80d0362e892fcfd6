/** `plateau train` from the outside: real processes, a kill, the same command again. */
import { readCausalDraft, readFeatureHead } from '@plateau/model-files'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { tinyModel } from './models.js'

const cli = fileURLToPath(new URL('../../tools/cli/dist/main.js', import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'plateau-train-test-'))
const out = join(scratch, 'draft')
const prompts = join(scratch, 'addresses.json')
const begin = [
  'The Congress',
  'We have seen',
  'Our people',
  'In the year',
  'It is the duty',
  'The nation',
  'I ask you',
  'Let us',
]
const end = ['of the United States', 'for many years', 'and the Senate', 'in this house', 'to the treasury', 'of peace']
writeFileSync(prompts, JSON.stringify(begin.flatMap((first) => end.map((last) => `${first} ${last}`))))

const args = [cli, 'train', '--data', prompts, '--model', tinyModel, '--out', out, '--json']
const sizes = [
  '--positions',
  '9000',
  '--answer-tokens',
  '64',
  '--gradients',
  '8192',
  '--vocabulary',
  '1024',
  '--bilinear',
  '32',
]

afterAll(() => rmSync(scratch, { recursive: true, force: true }))

function windowFiles(): string[] {
  const folder = join(out, 'work', 'windows')
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.bin')) : []
}

describe('plateau train, on prompts that the target answers', () => {
  test('killed in the middle, the same command goes on and makes a draft', async () => {
    const killed = spawn(process.execPath, [...args, ...sizes], { stdio: 'ignore' })
    for (let waits = 0; windowFiles().length === 0 && waits < 600; waits++) await sleep(100)
    killed.kill('SIGKILL')
    const before = windowFiles()
    expect(before.length).toBeGreaterThan(0)

    const second = spawnSync(process.execPath, [...args, ...sizes], { encoding: 'utf8' })
    expect(second.stderr).toContain('windows: ')
    if (second.status !== 0) throw new Error(second.stderr)
    expect(windowFiles().slice(0, before.length)).toEqual(before)
    const { figures, vocabularyCoverage, stage } = JSON.parse(second.stdout) as {
      figures: { domain: string; temperature?: number; alpha: number }[]
      vocabularyCoverage: number
      stage: string
    }
    expect(stage).toBe('gradients')
    expect(vocabularyCoverage).toBeGreaterThan(0.5)
    const all = figures.find(({ domain, temperature }) => domain === 'addresses' && temperature === undefined)
    expect(all!.alpha).toBeGreaterThan(0.15)
  })

  test('the draft is a checkpoint that drafts can be loaded from, with a card that names its target', async () => {
    const head = await readFeatureHead(out)
    expect(head.config).toMatchObject({ draftVocabSize: 1024, bilinearFeatures: 32 })
    const card = readFileSync(join(out, 'README.md'), 'utf8')
    expect(card).toMatch(/^\| target fingerprint \| `[0-9a-f]{64}` \|$/m)
    expect(card).toContain('plateau train --data')
    expect(existsSync(join(out, 'prior.bin'))).toBe(true)
  })

  test('other options than it was begun with are refused, and nothing changes', () => {
    const weights = readFileSync(join(out, 'model.safetensors'))
    const changed = spawnSync(process.execPath, [...args, ...sizes.slice(0, -1), '64'], { encoding: 'utf8' })
    expect(changed.status).toBe(2)
    expect(changed.stderr).toContain('was begun with bilinear 32, not 64')
    expect(readFileSync(join(out, 'model.safetensors'))).toEqual(weights)
  })
})

test('plateau train, from a recorded topic: a draft that reads tokens only', async () => {
  const recorded = `embedded:${join(out, 'work', 'services', 'event-log')}`
  const causal = join(scratch, 'causal')
  const small = ['--width', '32', '--layers', '1', '--positions', '4000', '--vocabulary', '512', '--gradients', '2048']
  const from = ['train', '--data', recorded, '--model', tinyModel, '--out', causal, '--json', '--draft', 'causal-lm']
  const run = spawnSync(process.execPath, [cli, ...from, ...small], { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(run.stderr)
  const { stage, trainingPositions } = JSON.parse(run.stdout) as { stage: string; trainingPositions: number }
  expect(stage).toBe('gradients')
  expect(trainingPositions).toBeGreaterThan(3000)
  expect((await readCausalDraft(causal)).config).toMatchObject({ model: { hiddenSize: 32, vocabSize: 513 } })
  expect(readFileSync(join(causal, 'README.md'), 'utf8')).toContain('(causal-lm)')
})
