/**
 * Damaged models, seeded and bounded: whatever is changed in a small valid file, the outcome is a PlateauError or a model
 * with the shapes of its configuration and finite weights; nothing large is made on the way.
 */
import { parameterShapes } from '@plateau/causal-lm'
import { PlateauError } from '@plateau/contracts'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ggufConfig } from './gguf/config.js'
import { parseGgufHeader } from './gguf/header.js'
import { ggufTokenizer } from './gguf/tokenizer.js'
import { openModel } from './model-directory.js'
import { parseHeader } from './safetensors-header.js'
import { decodeSafetensors } from './safetensors.js'
import { mutated, seeded } from './testing/mutations.js'

const goldens = fileURLToPath(new URL('../goldens', import.meta.url))
const gguf = await readFile(`${goldens}/gguf/llama-2-quantised.gguf`)
const safetensors = await readFile(`${goldens}/families/llama-3/model.safetensors`)
const configJson = await readFile(`${goldens}/families/llama-3/config.json`)
const ggufHeaderBytes = Math.min(
  ...[...parseGgufHeader(gguf, gguf.length, 'm').tensors.values()].map(({ begin }) => begin),
)
const safetensorsHeaderBytes = 8 + Number(safetensors.readBigUInt64LE(0))

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'plateau-fuzz-'))
})
afterAll(async () => rm(directory, { recursive: true }))

/** True when it was refused as it should be; what is no PlateauError is thrown on. */
function isRefused(work: () => unknown): boolean {
  try {
    work()
    return false
  } catch (thrown) {
    if (thrown instanceof PlateauError) return true
    throw thrown
  }
}

/** What an opened model must be, if it opens. */
async function readsWell(path: string): Promise<boolean> {
  try {
    const { description, weights, ...opened } = await openModel(path)
    try {
      for (const [name, shape] of parameterShapes(description.config)) {
        const { shape: found, data } = await weights.read(name)
        expect(found).toEqual(shape)
        expect(data.length).toBe(shape.reduce((count, size) => count * size, 1))
        expect(data.every(Number.isFinite)).toBe(true)
        await weights.readBlocks(name)
      }
    } finally {
      await opened.close()
    }
    return true
  } catch (thrown) {
    if (thrown instanceof PlateauError) return false
    throw thrown
  }
}

test('headers of GGUF files, and what configuration and tokenizer are made of', () => {
  const random = seeded(1)
  let refused = 0
  const most = 3000
  for (let i = 0; i < most; i++) {
    const bytes = mutated(gguf, ggufHeaderBytes, random)
    const outcome = isRefused(() => {
      const header = parseGgufHeader(bytes, bytes.length, 'm')
      const config = ggufConfig(header, 'm', undefined)
      expect(parameterShapes(config).size).toBeGreaterThan(2)
      ggufTokenizer(header.metadata, 'm')
    })
    if (outcome) refused++
  }
  expect(refused).toBeGreaterThan(most / 4)
  expect(refused).toBeLessThan(most)
})

test('headers of safetensors files', () => {
  const random = seeded(2)
  let refused = 0
  const most = 3000
  for (let i = 0; i < most; i++) {
    const bytes = mutated(safetensors, safetensorsHeaderBytes, random)
    if (isRefused(() => decodeSafetensors(bytes, 'm'))) refused++
  }
  expect(refused).toBeGreaterThan(most / 2)
  expect(isRefused(() => parseHeader(safetensors.subarray(8, safetensorsHeaderBytes), safetensors.length, 'm'))).toBe(
    false,
  )
})

test('whole models, weights included', async () => {
  await cp(`${goldens}/families/llama-3`, join(directory, 'hf'), { recursive: true })
  const kinds = [
    { path: 'm.gguf', file: 'm.gguf', bytes: gguf, within: gguf.length },
    { path: 'm.gguf', file: 'm.gguf', bytes: gguf, within: ggufHeaderBytes },
    { path: 'hf', file: 'hf/model.safetensors', bytes: safetensors, within: safetensors.length },
    { path: 'hf', file: 'hf/config.json', bytes: configJson, within: configJson.length },
  ]
  const before = process.memoryUsage()
  for (const [seed, { path, file, bytes, within }] of kinds.entries()) {
    const random = seeded(10 + seed)
    let opened = 0
    for (let i = 0; i < 60; i++) {
      await writeFile(join(directory, file), mutated(bytes, within, random))
      if (await readsWell(join(directory, path))) opened++
    }
    expect(opened).toBeLessThan(60)
    await writeFile(join(directory, file), bytes)
    expect(await readsWell(join(directory, path))).toBe(true)
  }
  const after = process.memoryUsage()
  expect(after.rss - before.rss).toBeLessThan(300e6)
})
