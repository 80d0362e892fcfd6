import { initialFeatureHead, withVocabulary, type FeatureHeadConfig } from '@plateau/causal-lm'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { decodeFeatureHead, encodeFeatureHead, readFeatureHead } from './feature-head-files.js'

const config: FeatureHeadConfig = {
  hiddenSize: 6,
  vocabSize: 11,
  bilinearFeatures: 4,
  rmsNormEps: 1e-5,
  layer: { heads: 2, headDim: 2, intermediateSize: 5, ropeTheta: 10_000, contextPositions: 8 },
}
const head = initialFeatureHead(config, { norm: new Float32Array(6).fill(1) }, () => 0.3)
const files = () => new Map(encodeFeatureHead(head).map(({ path, bytes }) => [path, bytes]))

test.each([config, { ...config, layer: undefined, bilinearFeatures: 0 }])(
  'a head comes back as it was written',
  (shape) => {
    const written = initialFeatureHead(shape, { norm: new Float32Array(6).fill(1) }, () => 0.7)
    const read = decodeFeatureHead(new Map(encodeFeatureHead(written).map(({ path, bytes }) => [path, bytes])), 'test')
    expect(read.config).toEqual(shape)
    expect(Object.fromEntries(read.parameters)).toEqual(Object.fromEntries(written.parameters))
  },
)

test('the tokens that a head can propose come back with it', () => {
  const written = withVocabulary(head, Int32Array.of(0, 3, 9, 10))
  const read = decodeFeatureHead(new Map(encodeFeatureHead(written).map(({ path, bytes }) => [path, bytes])), 'test')
  expect(read).toEqual(written)
})

test('a head is read from a directory', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'plateau-head-'))
  try {
    await expect(readFeatureHead(directory)).rejects.toMatchObject({ code: 'DRAFT_INVALID' })
    for (const [name, bytes] of files()) await writeFile(join(directory, name), bytes)
    expect((await readFeatureHead(directory)).config).toEqual(config)
  } finally {
    await rm(directory, { recursive: true })
  }
})

test.each([
  ['a missing file', (all: Map<string, Uint8Array>) => all.delete('config.json'), /config.json is missing/],
  [
    'another model',
    (all: Map<string, Uint8Array>) => all.set('config.json', Buffer.from('{"model_type":"llama"}')),
    /model_type/,
  ],
  ['text that is no JSON', (all: Map<string, Uint8Array>) => all.set('config.json', Buffer.from('{')), /JSON/],
  [
    'another shape',
    (all: Map<string, Uint8Array>) =>
      all.set(
        'config.json',
        Buffer.from(
          Buffer.from(all.get('config.json')!).toString().replace('"bilinear_features": 4', '"bilinear_features": 3'),
        ),
      ),
    /fc.weight has shape/,
  ],
] as const)('%s is refused with what is wrong', (_, damage, message) => {
  const damaged = files()
  damage(damaged)
  expect(() => decodeFeatureHead(damaged, 'test')).toThrow(message)
})
