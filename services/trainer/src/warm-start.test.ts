import { EVERY_TENANT, tenantDigest, type CheckpointManifest } from '@plateau/checkpoints'
import { encodeRidgePrior, ridgePrior, SumBank } from '@plateau/training'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { evaluateDraft } from '@plateau/inference'
import { decodeCausalDraft, decodeFeatureHead, readCausalDraft } from '@plateau/model-files'
import { describe, expect, test } from 'vitest'
import { headKind, records, Teacher, type Bench } from './testing.js'
import { useTrainerWorld } from './testing-world.js'

const teacher = new Teacher()
const { fingerprint, tokenizerHash } = teacher.model
const before = useTrainerWorld(teacher)
const world = useTrainerWorld(teacher)
const fresh = Array.from({ length: 20 }, (_, i) => teacher.window(`fresh${i}`))

const card = `# a draft\n\n| target fingerprint | \`${fingerprint}\` |\n| tokenizer hash | \`${tokenizerHash}\` |\n`

/** The newest version of a lineage that learned from so many samples, as `plateau train` would leave it. */
async function warmDirectory(draft: 'feature-head' | 'causal-lm', samples: number): Promise<string> {
  await before.send(records(teacher, 's', samples))
  const bench = await before.open({ draft, gradients: draft === 'causal-lm', checkpointDtype: 'F32' })
  const running = bench.trainer.run()
  await before.consumed()
  while (bench.line.version < 2) await sleep(5)
  await bench.trainer.close()
  await running
  const directory = join(before.directory, 'warm')
  await mkdir(directory)
  const { files } = await before.versionFiles(bench.store, bench.line.version)
  for (const [path, bytes] of files) await writeFile(join(directory, path), bytes)
  if (draft === 'feature-head') {
    const { closedForm } = await before.savedHeadState(bench.store)
    const prior = ridgePrior(SumBank.of(closedForm.bank).total())
    await writeFile(join(directory, 'prior.bin'), encodeRidgePrior(prior))
  }
  await writeFile(join(directory, 'README.md'), card)
  return directory
}

/** With nothing learned. */
async function untrainedDirectory(text = card): Promise<string> {
  const directory = join(before.directory, 'untrained')
  await mkdir(directory)
  const kind = headKind(teacher.model)
  for (const { path, bytes } of kind.encode(kind.initial())) await writeFile(join(directory, path), bytes)
  await writeFile(join(directory, 'README.md'), text)
  return directory
}

async function alphaOf(bench: Bench, version: number): Promise<number> {
  const { files } = await world.versionFiles(bench.store, version)
  return (await evaluateDraft(decodeFeatureHead(files, 'test'), teacher.model, fresh)).alpha
}

test('a new lineage begins as the draft, and its closed form goes on from what that knew', async () => {
  const warmStart = await warmDirectory('feature-head', 200)
  const cold = await world.open()
  const coldAlpha = await alphaOf(cold, 1)
  await cold.trainer.close()
  await rm(join(world.directory, 'store'), { recursive: true })
  await world.beginLogAgain()

  const bench = await world.open({ warmStart, priorPositions: 3000 })
  expect(await alphaOf(bench, 1)).toBeGreaterThan(coldAlpha + 0.2)
  await world.send(records(teacher, 't', 20))
  await world.trained(bench)
  // 20 samples alone say little; with the prior their solution is as good as the draft was.
  const { closedForm } = await world.savedHeadState(bench.store)
  const { prior, seen } = Object.fromEntries(
    closedForm.bank.cells.map(({ key, sums }) => [key.domain === '' ? 'seen' : 'prior', sums.weight]),
  )
  expect(prior).toBeCloseTo(3000, 0)
  expect(seen).toBeGreaterThan(100)
  expect(seen).toBeLessThan(500)
})

test('what the prior knew is not lost with the first solve', async () => {
  const warmStart = await warmDirectory('feature-head', 200)
  const bench = await world.open({ warmStart, priorPositions: 3000, firstSolvePositions: 100 })
  const running = bench.trainer.run()
  await world.send(records(teacher, 't', 30))
  while (bench.metrics.alpha.value({ draft: 'closed-form' }) === undefined) await sleep(5)
  await bench.trainer.close()
  await running
  const [solved, live] = ['closed-form', 'incumbent'].map((draft) => bench.metrics.alpha.value({ draft: draft })!)
  expect(solved).toBeGreaterThan(live! - 0.02)
})

test('a causal-lm begins warm, too', async () => {
  const warmStart = await warmDirectory('causal-lm', 100)
  const bench = await world.open({ draft: 'causal-lm', warmStart, checkpointDtype: 'F32' })
  await bench.trainer.close()
  const { files, manifest } = await world.versionFiles(bench.store, 1)
  const warm = await readCausalDraft(warmStart)
  expect(decodeCausalDraft(files, 'test')).toEqual(warm)
  expect([manifest.gradientTenants, manifest.sumTenants]).toEqual([[], []])
})

test('a lineage that begins with a version of another says whose windows are in that, as far as it is known', async () => {
  await before.send(records(teacher, 's', 100))
  const bench = await before.open({ draft: 'causal-lm' })
  const running = bench.trainer.run()
  while (bench.line.version < 2) await sleep(5)
  await bench.trainer.close()
  await running
  const version = join(before.directory, 'store', 'default', 'v00000002')
  const begun = async (lineage: string) => {
    const next = await world.open({ draft: 'causal-lm', warmStart: version, lineage })
    await next.trainer.close()
    return (await world.versionFiles(next.store, 1, lineage)).manifest.gradientTenants
  }
  expect(await begun('default')).toEqual([tenantDigest('')])
  // As it would have been written before this was noted.
  const path = join(version, 'manifest.json')
  const { gradientTenants: _, ...unnoted } = JSON.parse(await readFile(path, 'utf8')) as CheckpointManifest
  await writeFile(path, JSON.stringify(unnoted))
  expect(await begun('another')).toEqual([EVERY_TENANT])
  await writeFile(path, JSON.stringify({ ...unnoted, gradientTenants: ['acme'] }))
  await expect(begun('third')).rejects.toMatchObject({ code: 'WARM_START_INVALID' })
})

test('a lineage that is under way stays as it is', async () => {
  const first = await world.open({ checkpointDtype: 'F32' })
  await first.trainer.close()
  const warmStart = await untrainedDirectory()
  const next = await world.open({ warmStart })
  await next.trainer.close()
  expect(next.line.version).toBe(1)
})

describe('a draft directory is refused', () => {
  test.each([
    ['of another target', card.replace(fingerprint, '0'.repeat(64)), 'WARM_START_MISMATCH', /target fingerprint 0000/],
    ['of another tokenizer', card.replace(tokenizerHash, '1'.repeat(64)), 'WARM_START_MISMATCH', /tokenizer hash 1111/],
    ['that says nothing of its target', '# a draft\n', 'WARM_START_INVALID', /does not say the target fingerprint/],
  ])('%s', async (_, text, code, message) => {
    const warmStart = await untrainedDirectory(text)
    await expect(world.open({ warmStart })).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
  })

  test.each([
    ['not complete', 'README.md', undefined, /neither README.md nor manifest.json/],
    ['damaged', 'prior.bin', 'PLPRIOR', /do not begin like a prior/],
    ['of another kind', 'config.json', '{"model_type": "llama"}', /model_type/],
  ])('that is %s', async (_, file, text, message) => {
    const warmStart = await untrainedDirectory()
    await rm(join(warmStart, file), { force: true })
    if (text !== undefined) await writeFile(join(warmStart, file), text)
    await expect(world.open({ warmStart })).rejects.toMatchObject({
      code: 'WARM_START_INVALID',
      message: expect.stringMatching(message),
    })
  })
})
