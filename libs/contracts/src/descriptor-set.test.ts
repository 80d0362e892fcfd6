import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { readDescriptorSet } from './descriptor-set.js'

test('servers reflect the very image that is published', async () => {
  const published = await readFile(new URL('../../../docs/plateau.binpb', import.meta.url))
  expect(published.equals(await readDescriptorSet())).toBe(true)
})
