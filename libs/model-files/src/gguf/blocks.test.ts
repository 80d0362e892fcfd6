import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { multiplyOut, unpackBlocks } from './blocks.js'

interface Golden {
  readonly rows: number
  readonly columns: number
  readonly stored: string
  readonly values: string
}

/** Random blocks, and the values that the gguf package makes of them. */
const goldens = JSON.parse(await readFile(new URL('../../goldens/blocks.json', import.meta.url), 'utf8')) as Readonly<
  Record<string, Golden>
>

test.each(Object.keys(goldens))('%s has the very values of the reference implementation', (type) => {
  const { rows, columns, stored, values } = goldens[type]!
  const matrix = unpackBlocks(type, Buffer.from(stored, 'base64'), rows, columns)
  const found = multiplyOut(matrix)
  const bytes = new Uint8Array(Buffer.from(values, 'base64'))
  const expected = new Float32Array(bytes.buffer)
  expect(found.length).toBe(rows * columns)
  // Values, not bits: a zero may have either sign.
  const differing = found.findIndex((value, i) => value !== expected[i])
  expect(differing).toBe(-1)
  expect(matrix.bits).toBe(type.startsWith('Q4') ? 4 : 8)
  expect(Math.max(...matrix.codes)).toBeLessThan(2 ** matrix.bits)
})
