/** docs/security.md says which test answers a threat: they are there, and no threat is without an answer or said to be open. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const page = fileURLToPath(new URL('../../docs/security.md', import.meta.url))
const text = readFileSync(page, 'utf8')

interface Named {
  readonly name: string
  readonly file: string
}

const testsIn = (markdown: string): Named[] =>
  Array.from(markdown.matchAll(/\[([^\]]+)\]\(([^)]+\.test\.ts)\)/g), ([, name, file]) => ({
    name: name!,
    file: file!,
  }))
    // Links to a test file as such.
    .filter(({ name }) => name !== 'a test')

/** Titles as they stand in a test file. */
function titlesOf(file: string): Set<string> {
  const source = readFileSync(file, 'utf8')
  const calls =
    /\b(?:it|test|describe)\b(?:\.\w+(?:<[^>]*>+)?(?:\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))?)*\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g
  const direct = Array.from(source.matchAll(calls), ([, , title]) => title!)
  // Of a table, which may be long: what stands after it.
  const afterTable = Array.from(
    source.matchAll(/\]\s*(?:as const\s*)?,?\s*\)\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g),
    ([, , title]) => title!,
  )
  return new Set([...direct, ...afterTable].map((title) => title.replaceAll(/\\(['"`])/g, '$1')))
}

const threats = text
  .slice(text.indexOf('## Threats'))
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| threat '))

describe('the threat model', () => {
  test.each(testsIn(text).map(({ name, file }) => [file, name]))('%s has the test "%s"', (file, name) => {
    const path = resolve(dirname(page), file)
    expect(existsSync(path)).toBe(true)
    expect([...titlesOf(path)]).toContain(name)
  })

  test('names for every threat a test, or says that it is open', () => {
    expect(threats.length).toBeGreaterThan(30)
    const unanswered = threats.filter((row) => testsIn(row).length === 0 && !/\bOpen\b/.test(row))
    expect(unanswered).toEqual([])
  })

  test('of files leads to some that are there', () => {
    const links = Array.from(text.matchAll(/\]\(([^)#]+)[^)]*\)/g), ([, link]) => link!)
    expect(links.filter((link) => !existsSync(join(dirname(page), link)))).toEqual([])
  })
})
