import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  causalDraftKind,
  eagle3Layout,
  featureHeadKind,
  initialCausalDraft,
  initialFeatureHead,
  withVocabulary,
  type FeatureHead,
} from '@plateau/causal-lm'
import { fileStore, generateSigningKey, writeCheckpoint, writeSigningKey } from '@plateau/checkpoints'
import {
  decodeSafetensors,
  encodeCausalDraft,
  encodeFeatureHead,
  readCausalDraft,
  readDraftTarget,
  toFloats,
  toIntegers,
} from '@plateau/model-files'
import { beforeEach, expect, test } from 'vitest'
import { plateau } from '../testing/run-command.js'
import { temporaryDirectory } from '../testing/temporary-log.js'

const model = fileURLToPath(new URL('../../../../models/demo-target', import.meta.url))
const target = await readDraftTarget(model)
const key = generateSigningKey()
const { hiddenSize, vocabSize, maxPositions } = target.config
const ids = Int32Array.of(0, 3, 9, 10, 500)
let seed = 7
const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647
const layer = { heads: 2, headDim: 4, intermediateSize: 6, ropeTheta: 10_000, contextPositions: 8 }
const headWith = (changes: object): FeatureHead => {
  const config = { hiddenSize, vocabSize, bilinearFeatures: 0, rmsNormEps: 1e-5, layer, ...changes }
  return withVocabulary(initialFeatureHead(config, target.target, random), ids)
}
const head = headWith({})
const causal = initialCausalDraft(
  {
    model: {
      ...target.config,
      vocabSize: 6,
      layers: 1,
      hiddenSize: 8,
      intermediateSize: 6,
      heads: 2,
      kvHeads: 1,
      headDim: 4,
    },
    targetVocabSize: vocabSize,
    draftVocabulary: ids,
  },
  random,
)

let directory: string
let environment: Record<string, string>
beforeEach(async () => {
  directory = temporaryDirectory()
  environment = {
    PLATEAU_CHECKPOINTS: join(directory, 'store'),
    PLATEAU_VERIFY_KEY_FILE: join(directory, 'signing.pem.pub'),
  }
  await writeSigningKey(join(directory, 'signing.pem'), key)
})

async function publish(version: number, kind: string, files: Parameters<typeof writeCheckpoint>[2], changes = {}) {
  const about = {
    lineage: 'default',
    version,
    parent: version - 1,
    kind,
    targetFingerprint: target.fingerprint,
    tokenizerHash: target.tokenizerHash,
    trainedThrough: [],
    policy: '',
    evaluation: { positions: 100, alpha: 0.4321, parentAlpha: null, greedyMatch: null },
    trainedPositions: 1000,
    codeVersion: '0.1.0',
    createdAt: '2026-01-01T00:00:00.000Z',
    ...changes,
  }
  await writeCheckpoint(fileStore(environment['PLATEAU_CHECKPOINTS']!), about, files, key)
}

const out = () => join(directory, 'out')
const run = (format: string, ...more: string[]) =>
  plateau(
    ['checkpoints', 'export', '--lineage', 'default', '--model', model, '--format', format, '--out', out(), ...more],
    { environment },
  )
const namesIn = async (path: string) => (await readdir(path)).toSorted()

test('a head is exported with the names, shapes and values of the layout, and a card that says what it is not', async () => {
  await publish(1, featureHeadKind, encodeFeatureHead(headWith({ bilinearFeatures: 2, bilinearSeed: 1 })))
  await publish(2, featureHeadKind, encodeFeatureHead(head))
  const { code, json } = await run('eagle3', '--json')
  expect(code).toBe(0)
  expect(json()).toMatchObject({ lineage: 'default', version: 2, format: 'eagle3', out: out() })
  expect(await namesIn(out())).toEqual(['README.md', 'config.json', 'model.safetensors'])
  const expected = eagle3Layout(head, target.target, maxPositions)
  const config = JSON.parse(await readFile(join(out(), 'config.json'), 'utf8')) as object
  expect(config).toEqual({ ...expected.config, torch_dtype: 'float16' })
  const { tensors } = decodeSafetensors(await readFile(join(out(), 'model.safetensors')), 'exported')
  expect([...tensors.keys()].toSorted()).toEqual([...expected.parameters.keys(), 'd2t', 't2d'].toSorted())
  expect([...toIntegers(tensors.get('d2t')!)]).toEqual([0n, 2n, 7n, 7n, 496n])
  for (const [name, { shape, data }] of expected.parameters) {
    expect(tensors.get(name)!.shape).toEqual(shape)
    const worst = toFloats(tensors.get(name)!).reduce(
      (most, value, i) => Math.max(most, Math.abs(value - data[i]!) - Math.abs(data[i]!) * 2 ** -11),
      0,
    )
    // Half a step of float16, and of its smallest numbers.
    expect(worst).toBeLessThanOrEqual(2 ** -25)
  }
  const card = await readFile(join(out(), 'README.md'), 'utf8')
  for (const said of [target.fingerprint, 'default, version 2', '0.4321 over 100', 'not the same function']) {
    expect(card).toContain(said)
  }
})

test('a causal draft is exported as it was signed, and reads back as the draft', async () => {
  const files = encodeCausalDraft(causal)
  await publish(1, causalDraftKind, files)
  await mkdir(out())
  expect(await run('huggingface', '--version', '1')).toMatchObject({ code: 0 })
  expect(await namesIn(out())).toEqual(['README.md', ...files.map(({ path }) => path)].toSorted())
  const read = await readCausalDraft(out())
  expect(read.config).toMatchObject(causal.config)
  expect(Object.fromEntries(read.parameters)).toEqual(Object.fromEntries(causal.parameters))
  expect(await readFile(join(out(), 'README.md'), 'utf8')).toContain("target's tokenizer does not fit it")
})

test('what has no counterpart in the format is said, and nothing is written', async () => {
  await publish(1, featureHeadKind, encodeFeatureHead(headWith({ bilinearFeatures: 2, bilinearSeed: 1 })))
  await publish(2, featureHeadKind, encodeFeatureHead(headWith({ layer: undefined })))
  await publish(3, causalDraftKind, encodeCausalDraft(causal))
  const refused: [string, string, RegExp][] = [
    ['eagle3', '1', /no counterpart for 2 bilinear features.*\(EXPORT_IMPOSSIBLE\)\n$/],
    ['eagle3', '2', /always has a decoder layer.*\(EXPORT_IMPOSSIBLE\)\n$/],
    ['eagle3', '3', /is a causal-lm; eagle3 is for a feature-fed-head \(EXPORT_IMPOSSIBLE\)\n$/],
    ['huggingface', '2', /is a feature-fed-head; huggingface is for a causal-lm \(EXPORT_IMPOSSIBLE\)\n$/],
    ['eagle3', '7', /no version 7 of lineage default; there: 1, 2, 3 \(CHECKPOINT_NOT_FOUND\)\n$/],
  ]
  for (const [format, version, said] of refused) {
    const { code, err } = await run(format, '--version', version)
    expect({ version, code }).toEqual({ version, code: 1 })
    expect(err).toMatch(said)
  }
  expect(await readdir(directory)).not.toContain('out')
  expect((await readdir(directory)).filter((name) => name.includes('partial'))).toEqual([])
})

test('a damaged file, a foreign key and another target are refused', async () => {
  await publish(1, featureHeadKind, encodeFeatureHead(head), { targetFingerprint: 'ff' })
  expect((await run('eagle3')).err).toMatch(/\(CHECKPOINT_TARGET_MISMATCH\)\n$/)
  await publish(2, featureHeadKind, encodeFeatureHead(head))
  await writeSigningKey(join(directory, 'other.pem'), generateSigningKey())
  const foreign = await run('eagle3', '--verify-key', join(directory, 'other.pem.pub'))
  expect(foreign.err).toMatch(/\(CHECKPOINT_KEY_UNKNOWN\)\n$/)
  const config = join(directory, 'store/default/v00000002/config.json')
  await writeFile(config, (await readFile(config, 'utf8')).replace('1', '2'))
  expect((await run('eagle3')).err).toMatch(/\(CHECKPOINT_FILE_DIGEST\)\n$/)
  expect(await readdir(directory)).not.toContain('out')
})

test('a directory that holds anything is left as it is', async () => {
  await publish(1, featureHeadKind, encodeFeatureHead(head))
  await mkdir(out())
  await writeFile(join(out(), 'mine.txt'), 'mine')
  const { code, err } = await run('eagle3')
  expect(code).toBe(1)
  expect(err).toMatch(/out is not empty: .*\(EXPORT_DIRECTORY\)\n$/)
  expect(await namesIn(out())).toEqual(['mine.txt'])
})

test('a command line that lacks something is wrong usage', async () => {
  expect(await run('onnx')).toMatchObject({ code: 2, err: expect.stringContaining('eagle3, huggingface') })
  expect(await run('eagle3', '--version', '0')).toMatchObject({ code: 2 })
  delete environment['PLATEAU_VERIFY_KEY_FILE']
  expect(await run('eagle3')).toMatchObject({ code: 2, err: expect.stringContaining('--verify-key FILE is missing') })
  expect(await plateau(['checkpoints', 'export', '--lineage', 'default'])).toMatchObject({ code: 2 })
})
