import { readFile, writeFile } from 'node:fs/promises'
import { UsageError } from '../usage-error.js'

/** What a run was begun with and must go on with: its windows, sums and optimiser state depend on it. */
export type RunFacts = Readonly<Record<string, string | number>>

/** Written at the first run; later ones must be given the same. Throws UsageError naming the option that differs. */
export async function keepFacts(path: string, out: string, facts: RunFacts): Promise<void> {
  const saved = await readFile(path, 'utf8').catch(() => undefined)
  if (saved === undefined) return writeFile(path, `${JSON.stringify(facts, undefined, 2)}\n`)
  const before = JSON.parse(saved) as RunFacts
  const changed = Object.keys(facts).find((name) => String(before[name]) !== String(facts[name]))
  if (changed === undefined) return
  throw new UsageError(
    `${out} was begun with ${changed} ${before[changed]}, not ${facts[changed]}: give the same, or another --out`,
  )
}
