import { referenceForward } from '@plateau/causal-lm'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { openModel, readModelDirectory } from './model-directory.js'

const goldens = fileURLToPath(new URL('../goldens', import.meta.url))

/** What transformers computes with the same weights; see ../goldens/make_goldens.py. */
interface Golden {
  readonly tokenIds: readonly number[]
  readonly logits: Readonly<Record<string, readonly number[]>>
}

async function largestDifference(model: string, golden: string): Promise<number> {
  const { config, parameters } = await readModelDirectory(`${goldens}/${model}`)
  const { tokenIds, logits } = JSON.parse(await readFile(`${goldens}/${golden}`, 'utf8')) as Golden
  const computed = referenceForward(config, parameters, tokenIds).logits
  const differences = Object.entries(logits).flatMap(([row, expected]) =>
    expected.map((logit, id) => Math.abs(logit - computed[Number(row)]![id]!)),
  )
  return Math.max(...differences)
}

/** transformers computes in 32-bit floats; the logits are around 5. */
const tolerance = 1e-4

describe('a random model of a family', () => {
  it.each(['llama-2', 'llama-3', 'llama-linear', 'mistral', 'qwen2', 'qwen2-window', 'qwen3'])(
    'saved by transformers has its logits: %s',
    async (family) => {
      expect(await largestDifference(`families/${family}`, `families/${family}/logits.json`)).toBeLessThan(tolerance)
    },
  )

  it.each(['llama-3', 'qwen2', 'qwen3'])('has them too as a GGUF file: %s', async (family) => {
    expect(await largestDifference(`gguf/${family}.gguf`, `families/${family}/logits.json`)).toBeLessThan(tolerance)
  })

  it('has those of its quantised weights when a GGUF file holds these, some rows in another order', async () => {
    const name = 'gguf/llama-2-quantised'
    expect(await largestDifference(`${name}.gguf`, `${name}.json`)).toBeLessThan(tolerance)
    const model = await openModel(`${goldens}/${name}.gguf`)
    await model.close()
    const types = new Set(model.description.storedTensors.map(({ type }) => type))
    expect([...types].toSorted()).toEqual(['F16', 'F32', 'Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q8_0'])
  })

  it('is described alike whichever way it is stored', async () => {
    for (const family of ['llama-3', 'qwen2', 'qwen3']) {
      const [directory, file] = [`families/${family}`, `gguf/${family}.gguf`].map((name) => `${goldens}/${name}`)
      const ofDirectory = (await readModelDirectory(directory!)).config
      const ofFile = (await readModelDirectory(file!)).config
      // How frequencies are stretched is said in two ways; a GGUF file keeps 32-bit floats.
      const ropeScaling = ofFile.ropeScaling
      expect({ family: 'llama', ...ofDirectory, ropeScaling }).toEqual({ ...ofFile, rmsNormEps: 1e-5 })
      expect(ofFile.rmsNormEps).toBeCloseTo(1e-5, 10)
    }
  })

  it('gives the stored blocks of its matrices, in the same order of rows as their values', async () => {
    const model = await openModel(`${goldens}/gguf/llama-2-quantised.gguf`)
    const { weights } = model
    let matrices = 0
    for (const name of weights.names) {
      const blocks = await weights.readBlocks(name)
      if (blocks === undefined) continue
      matrices++
      const { codes, scales, offsets, blockSize, bits } = blocks
      const centre = bits === 4 ? 8 : 128
      const { data } = await weights.read(name)
      const restored = Float32Array.from(codes, (code, i) => {
        const block = Math.floor(i / blockSize)
        return scales[block]! * code + (offsets?.[block] ?? -centre * scales[block]!)
      })
      expect(restored).toEqual(data)
    }
    await model.close()
    expect(matrices).toBeGreaterThan(10)
  })
})
