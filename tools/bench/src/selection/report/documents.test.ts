import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { writePages } from './pages.js'
import { readResults } from './results.js'
import { readTemplates } from './summarise.js'

const docs = fileURLToPath(new URL('../../../../../docs', import.meta.url))
const written = writePages(readResults(join(docs, 'selection', 'results')), readTemplates(docs))

test('the pages are what the kept results say (else: npm run bench -- selection --summary, and commit)', () => {
  for (const [name, text] of written.pages) expect(readFileSync(join(docs, name), 'utf8')).toBe(text)
})

test('so are the pictures, and no other lies beside them', () => {
  const pictures = readdirSync(join(docs, 'selection')).filter((name) => name.endsWith('.svg'))
  expect(pictures.toSorted()).toEqual([...written.pictures.keys()].toSorted())
  for (const [name, svg] of written.pictures) expect(readFileSync(join(docs, 'selection', name), 'utf8')).toBe(svg)
})
