import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Document, type DomainDocuments, type DomainName, readDomains } from './corpus-documents.js'
import { encoderOf, endOfText } from './tokenizer-file.js'

export interface TokenDomain {
  readonly name: DomainName
  /** Documents one after another, each ended by `endOfTextId`. */
  readonly train: Uint16Array
  readonly heldOut: Uint16Array
}

export interface Corpus {
  readonly domains: readonly TokenDomain[]
  readonly vocabSize: number
  readonly endOfTextId: number
}

const repository = fileURLToPath(new URL('../../../', import.meta.url))

/** Where the demo models live, in the repository. */
export const modelsFolder = join(repository, 'models')
const cacheFolder = join(repository, '.plateau', 'corpus')

/**
 * Both domains as tokens of models/demo-target/tokenizer.json (write it first with prepare.ts). Remembered under
 * .plateau/, by the tokenizer and the text.
 */
export function loadCorpus(): Corpus {
  const json = readFileSync(join(modelsFolder, 'demo-target', 'tokenizer.json'), 'utf8')
  const encoder = encoderOf(json)
  const endOfTextId = encoder.idOf(endOfText)
  const encode = (documents: readonly Document[]): Uint16Array =>
    concatenate(documents.map(({ text }) => encoder.encode(text, endOfTextId)))
  const domains = readDomains().map((domain) => ({
    name: domain.name,
    train: remembered(cacheFile(json, domain, 'train'), () => encode(domain.train)),
    heldOut: remembered(cacheFile(json, domain, 'heldOut'), () => encode(domain.heldOut)),
  }))
  return { domains, vocabSize: encoder.vocabSize, endOfTextId }
}

function cacheFile(tokenizer: string, domain: DomainDocuments, part: 'train' | 'heldOut'): string {
  const hash = createHash('sha256').update(tokenizer)
  for (const { name, text } of domain[part]) hash.update(`\0${name}\0`).update(text)
  return join(cacheFolder, `${domain.name}-${part}-${hash.digest('hex').slice(0, 16)}.u16`)
}

function remembered(file: string, compute: () => Uint16Array): Uint16Array {
  if (existsSync(file)) return new Uint16Array(new Uint8Array(readFileSync(file)).buffer)
  const tokens = compute()
  mkdirSync(dirname(file), { recursive: true })
  // Renamed into place, so that a second process never reads half of it.
  const partial = `${file}.${process.pid}`
  writeFileSync(partial, tokens)
  renameSync(partial, file)
  return tokens
}

function concatenate(parts: readonly Uint16Array[]): Uint16Array {
  const out = new Uint16Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
