import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { loadTarget } from './target.js'

const demo = fileURLToPath(new URL('../../../models/demo-target', import.meta.url))

test('a model larger than memory is refused with both sizes, before it is read', async () => {
  const options = { topK: 8, maxSequences: 1, maxProposal: 1, weights: 'f32', cacheBytes: 1e6, freeBytes: 1e6 } as const
  const refused = loadTarget(demo, options)
  await expect(refused).rejects.toMatchObject({ code: 'MODEL_TOO_LARGE', facts: { freeBytes: 1e6 } })
  await expect(refused).rejects.toThrow(/take 5\d MB as f32, and 1\.00 MB of memory are free/)
})
