import { expect, test } from 'vitest'
import { fill } from './template.js'

const figure = (expression: string): string => {
  if (expression !== 'alpha of it') throw new Error(`nothing was measured of "${expression}"`)
  return '0.3'
}

test('blocks and figures take the place of their expressions, all else stays', () => {
  const page = '# {a}\n\n{{ table }}\n\nis {{alpha of it}} {{table}}'
  expect(fill(page, new Map([['table', '| $& |']]), figure)).toBe('# {a}\n\n| $& |\n\nis 0.3 | $& |')
})

test('what nobody knows is an error', () => {
  expect(() => fill('{{tabel}}', new Map([['table', '']]), figure)).toThrow('nothing was measured of "tabel"')
})
