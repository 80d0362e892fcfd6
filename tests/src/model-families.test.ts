/**
 * The decoder that serves, on models of every family as their own tools write them, against the logits that transformers
 * computes with the same weights (libs/model-files/goldens).
 */
import { CausalLmDecoder } from '@plateau/inference'
import { openModel } from '@plateau/model-files'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const goldens = fileURLToPath(new URL('../../libs/model-files/goldens', import.meta.url))

interface Golden {
  readonly tokenIds: readonly number[]
  readonly logits: Readonly<Record<string, readonly number[]>>
}

/** Logits reach about 5; both sides compute in 32-bit floats. */
const tolerance = 1e-4

test.each([
  ['families/llama-2', 'families/llama-2/logits.json'],
  ['families/llama-3', 'families/llama-3/logits.json'],
  ['families/llama-linear', 'families/llama-linear/logits.json'],
  ['families/mistral', 'families/mistral/logits.json'],
  ['families/qwen2', 'families/qwen2/logits.json'],
  ['families/qwen2-window', 'families/qwen2-window/logits.json'],
  ['families/qwen3', 'families/qwen3/logits.json'],
  ['gguf/llama-3.gguf', 'families/llama-3/logits.json'],
  ['gguf/qwen2.gguf', 'families/qwen2/logits.json'],
  ['gguf/qwen3.gguf', 'families/qwen3/logits.json'],
  ['gguf/llama-2-quantised.gguf', 'gguf/llama-2-quantised.json'],
])('%s is served with the logits of the reference', async (model, golden) => {
  const { tokenIds, logits } = JSON.parse(await readFile(`${goldens}/${golden}`, 'utf8')) as Golden
  const opened = await openModel(`${goldens}/${model}`)
  const { config } = opened.description
  const decoder = await CausalLmDecoder.load(config, opened.weights, { topK: config.vocabSize })
  await opened.close()
  try {
    const sequence = decoder.open()
    // The last tokens one by one: they see the others in the past, and a window leaves some of these out.
    const steps = [tokenIds.slice(0, -2), tokenIds.slice(-2, -1), tokenIds.slice(-1)]
    const found = new Map<number, Float32Array>()
    let position = 0
    for (const step of steps) {
      const rows = await sequence.step(step, { rows: 'all' })
      for (let row = 0; row < rows.count; row++) {
        const ofRow = new Float32Array(config.vocabSize)
        for (let i = row * rows.topK; i < (row + 1) * rows.topK; i++) ofRow[rows.topIds[i]!] = rows.topLogits[i]!
        found.set(position++, ofRow)
      }
    }
    for (const [row, expected] of Object.entries(logits)) {
      const differences = expected.map((logit, id) => Math.abs(logit - found.get(Number(row))![id]!))
      expect(Math.max(...differences)).toBeLessThan(tolerance)
    }
    sequence.close()
  } finally {
    await decoder.release()
  }
})
