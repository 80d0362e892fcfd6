import { referenceForward } from '@plateau/causal-lm'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { decodeCausalDraft, encodeCausalDraft, readCausalDraft } from './causal-draft-files.js'
import { goldenDrafts, goldenRows } from './testing/golden-draft.js'

const [reduced, whole] = goldenDrafts
const filesOf = (draft = reduced!, dtype: 'F32' | 'BF16' | 'F16' = 'F32') =>
  new Map(encodeCausalDraft(draft, dtype).map(({ path, bytes }) => [path, bytes]))

describe.each([
  {
    kind: 'a reduced vocabulary',
    draft: reduced!,
    names: ['config.json', 'model.safetensors', 'draft_vocabulary.json'],
  },
  { kind: 'the whole vocabulary', draft: whole!, names: ['config.json', 'model.safetensors'] },
])('a causal draft over $kind', ({ draft, names }) => {
  it('comes back as it was written', () => {
    expect([...filesOf(draft).keys()]).toEqual(names)
    const read = decodeCausalDraft(filesOf(draft), 'test')
    expect(read.config).toMatchObject(draft.config)
    expect(Object.fromEntries(read.parameters)).toEqual(Object.fromEntries(draft.parameters))
  })

  it('has the logits that transformers computes from the same files (see scripts/causal-draft-golden.ts)', async () => {
    const golden = JSON.parse(await readFile(new URL('testing/causal-draft-golden.json', import.meta.url), 'utf8')) as {
      logits: number[][][]
    }
    const expected = golden.logits[goldenDrafts.indexOf(draft)]!
    const read = decodeCausalDraft(filesOf(draft), 'test')
    const { logits } = referenceForward(read.config.model, read.parameters, goldenRows)
    expect(Math.max(...expected.flat())).toBeGreaterThan(1)
    logits.forEach((row, t) => row.forEach((logit, v) => expect(logit).toBeCloseTo(expected[t]![v]!, 4)))
  })

  it.each(['BF16', 'F16'] as const)('in %s is half as large and as precise as that', (dtype) => {
    const stored = filesOf(draft, dtype)
    const bytes = stored.get('model.safetensors')!.length
    expect(bytes).toBeLessThan(0.7 * filesOf(draft).get('model.safetensors')!.length)
    const read = decodeCausalDraft(stored, 'test')
    for (const [name, { data }] of draft.parameters) {
      const precision = dtype === 'BF16' ? 2 ** -8 : 2 ** -11
      read.parameters.get(name)!.data.forEach((value, i) => {
        expect(Math.abs(value - data[i]!)).toBeLessThanOrEqual(precision * Math.abs(data[i]!) + 1e-7)
      })
    }
  })
})

it('is read from a directory', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'plateau-draft-'))
  try {
    await expect(readCausalDraft(directory)).rejects.toMatchObject({ code: 'DRAFT_INVALID' })
    for (const [name, bytes] of filesOf()) await writeFile(join(directory, name), bytes)
    expect((await readCausalDraft(directory)).config.draftVocabulary).toEqual(reduced!.config.draftVocabulary)
  } finally {
    await rm(directory, { recursive: true })
  }
})

const edited = (name: string, edit: (text: string) => string) => {
  const files = filesOf()
  files.set(name, Buffer.from(edit(Buffer.from(files.get(name)!).toString())))
  return files
}

it.each([
  ['without weights', () => new Map([...filesOf()].slice(0, 1)), /model.safetensors is missing/],
  [
    'of another architecture',
    () => edited('config.json', () => '{"model_type": "plateau_feature_head"}'),
    /hidden_size/,
  ],
  [
    'with another width',
    () => edited('config.json', (text) => text.replace('"hidden_size": 16', '"hidden_size": 8')),
    /shape/,
  ],
  [
    'with a map of another size',
    () => edited('draft_vocabulary.json', (text) => text.replace('[2,', '[1,2,')),
    /needs 13/,
  ],
  [
    'with a map beyond the target',
    () => edited('draft_vocabulary.json', (text) => text.replace(':40', ':30')),
    /id 32/,
  ],
  ['with a map of words', () => edited('draft_vocabulary.json', (text) => text.replace('[2,', '["a",')), /not a list/],
  ['with a map that is no JSON', () => edited('draft_vocabulary.json', () => '{'), /JSON/],
] as const)('files %s are refused with what is wrong', (_, files, message) => {
  expect(() => decodeCausalDraft(files(), 'test')).toThrow(message)
})

it('without its map it is a whole draft of a small vocabulary: whoever loads it sees that it is not of this target', () => {
  const { config } = decodeCausalDraft(new Map([...filesOf()].slice(0, 2)), 'test')
  expect(config).toMatchObject({ targetVocabSize: 12, draftVocabulary: undefined })
})
