import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Summary, writePages } from './pages.js'
import { readResults } from './results.js'

/** Pages by name, each made of selection/NAME.template.md. */
export const pageNames = ['selection.md', 'selection-for-operators.md'] as const

export interface SummaryOutputs {
  /** The repository's documents. Pages of results that are not theirs are written beside those results instead. */
  readonly docs: string
}

/**
 * Writes pages and pictures from what `resultsDirectory` holds; trains nothing. Figures in the prose of our own pages must
 * all have been measured, or it throws; of other results those that were not are dashes.
 */
export async function summarise(resultsDirectory: string, { docs }: SummaryOutputs): Promise<Summary> {
  const own = resolve(resultsDirectory) === resolve(docs, 'selection', 'results')
  const folder = own ? docs : resultsDirectory
  const missing = own ? 'refused' : 'dashes'
  const { pages, pictures, summary } = writePages(readResults(resultsDirectory), readTemplates(docs), missing)
  mkdirSync(join(folder, 'selection'), { recursive: true })
  for (const [name, text] of pages) writeFileSync(join(folder, name), text)
  for (const [name, svg] of pictures) writeFileSync(join(folder, 'selection', name), svg)
  return summary
}

export function readTemplates(docs: string): Map<string, string> {
  const path = (name: string) => join(docs, 'selection', name.replace('.md', '.template.md'))
  return new Map(pageNames.map((name) => [name, readFileSync(path(name), 'utf8')]))
}
