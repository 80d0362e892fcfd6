import {
  causalDraftShape,
  gradientLayer,
  initialCausalDraft,
  initialFeatureHead,
  withLayer,
  withVocabulary,
  type CausalDraft,
  type FeatureHead,
} from '@plateau/causal-lm'
import {
  fileStore,
  generateSigningKey,
  writeCheckpoint,
  type CheckpointStore,
  type StoredFile,
} from '@plateau/checkpoints'
import { DraftCheckpoint, PlateauError } from '@plateau/contracts'
import { encodeCausalDraft, encodeFeatureHead, readDraftTarget } from '@plateau/model-files'
import { seededRandom, type Draft, type Proposal, type Sampling } from '@plateau/speculation'
import { silentLogger, type LogFields, type Logger } from '@plateau/telemetry'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { threadProgram } from './draft-build/build-thread.js'
import { DraftLoader, type DraftLoaderOptions } from './load-draft.js'
import type { LoadAndEnd } from './testing/load-and-end.js'
import { swapMany } from './testing/swap-many.js'

const modelDirectory = new URL('../../../models/tiny-target', import.meta.url).pathname
const model = await readDraftTarget(modelDirectory)
const { hiddenSize, vocabSize, rmsNormEps } = model.config
const random = seededRandom(7)
const plainHead = initialFeatureHead(
  { hiddenSize, vocabSize, rmsNormEps, bilinearFeatures: 48, bilinearSeed: 3, layer: undefined },
  model.target,
  random,
)
const everyOther = Int32Array.from({ length: vocabSize / 2 }, (_, row) => 2 * row)
const causal = (targetVocabSize: number): CausalDraft =>
  initialCausalDraft(
    causalDraftShape({ ...model.config, vocabSize: targetVocabSize }, undefined, { hiddenSize: 32, layers: 2 }),
    random,
  )
const heads: readonly [string, FeatureHead][] = [
  ['a head', plainHead],
  ['a head with a layer', withLayer(plainHead, gradientLayer(hiddenSize), random)],
  ['a head with a vocabulary of its own', withVocabulary(plainHead, everyOther)],
]
const key = generateSigningKey()

let root: string
let store: CheckpointStore
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'drafts-'))
  store = fileStore(root)
})
afterAll(() => rm(root, { recursive: true }))

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Line {
  readonly message: string
  readonly fields: LogFields
}

/** Output heads of this test's size are shared where so asked. */
const shared = { sharedOutputElements: 1 }

/** A loader, and what it logs. */
function loaderWith(options: Partial<DraftLoaderOptions> = {}): {
  readonly loader: DraftLoader
  readonly logs: Line[]
} {
  const logs: Line[] = []
  const logger: Logger = { ...silentLogger, warn: (message, fields = {}) => void logs.push({ message, fields }) }
  const loader = new DraftLoader({ store, verifyingKey: key, model, maxProposal: 4, logger, ...options })
  cleanups.push(() => loader.close())
  return { loader, logs }
}

let versions = 0
async function published(kind: string, files: StoredFile[]): Promise<DraftCheckpoint> {
  const version = ++versions
  const about = {
    lineage: 'default',
    version,
    parent: version - 1,
    kind,
    targetFingerprint: model.fingerprint,
    tokenizerHash: model.tokenizerHash,
    trainedThrough: [],
    policy: 'none',
    evaluation: { positions: 0, alpha: null, parentAlpha: null, greedyMatch: null },
    trainedPositions: 0,
    codeVersion: 'test',
    createdAt: '2026-01-01T00:00:00Z',
  }
  return DraftCheckpoint.fromPartial({ ...(await writeCheckpoint(store, about, files, key)), schemaVersion: 1, kind })
}
const publishedHead = (head: FeatureHead = plainHead) => published('feature-fed-head', encodeFeatureHead(head))
const publishedCausal = (draft = causal(vocabSize)) => published('causal-lm', encodeCausalDraft(draft))

async function load(loader: DraftLoader, announced: DraftCheckpoint, signal?: AbortSignal): Promise<Draft> {
  const draft = await loader.load('default', announced, 1, signal)
  cleanups.push(() => draft.release())
  return draft
}

const samplings: readonly Sampling[] = [
  { temperature: 0, topK: 0, topP: 1 },
  { temperature: 0.9, topK: 20, topP: 0.95 },
]

/** Some rounds of a response, all of it accepted. */
async function proposals(draft: Draft): Promise<Proposal[]> {
  const draw = seededRandom(11)
  const features = (rows: number) => Float32Array.from({ length: rows * hiddenSize }, () => draw() - 0.5)
  const found: Proposal[] = []
  for (const sampling of samplings) {
    const session = draft.open({ tokens: [5, 6, 7], features: features(2) })
    for (let round = 0; round < 3; round++) {
      const proposal = await session.propose(4, sampling, draw)
      found.push(proposal)
      session.adopt(proposal.tokens, features(proposal.tokens.length))
    }
    session.close()
  }
  return found
}

const kinds: [string, () => Promise<DraftCheckpoint>][] = [
  ...heads.map(([name, head]): [string, () => Promise<DraftCheckpoint>] => [name, () => publishedHead(head)]),
  ['a causal draft', publishedCausal],
]

it.each(kinds)('%s built in the thread proposes the very tokens and q of one built here', async (_, publish) => {
  const announced = await publish()
  const there = loaderWith()
  const [built, plain] = [
    await load(there.loader, announced),
    await load(loaderWith({ thread: 'none' }).loader, announced),
  ]
  expect(there.logs).toEqual([])
  expect(built).toMatchObject({ version: String(announced.version), maxProposal: 4 })
  const found = await proposals(built)
  expect(found.map(({ tokens }) => tokens.length)).toContain(4)
  expect(found).toEqual(await proposals(plain))
})

it.each(heads)('%s proposes the very same with its output head apart, shared by versions', async (_, head) => {
  const { loader } = loaderWith(shared)
  const [first, second] = [await load(loader, await publishedHead(head)), await load(loader, await publishedHead(head))]
  const other = await load(loader, await publishedHead(withVocabulary(plainHead, everyOther.slice(1))))
  const plain = await proposals(await load(loaderWith({ thread: 'none' }).loader, await publishedHead(head)))
  expect(await proposals(first)).toEqual(plain)
  await first.release()
  expect(await proposals(second)).toEqual(plain)
  expect((await proposals(other)).flatMap(({ tokens }) => tokens)).not.toContain(0)
  await second.release()
  expect(await proposals(await load(loader, await publishedHead(head)))).toEqual(plain)
})

it('what the thread refuses is refused with code, facts and whether trying again can help', async () => {
  const announced = await publishedHead()
  const { loader } = loaderWith()
  const refusal = (changes: Partial<DraftCheckpoint>, minVersion = 1) =>
    loader.load('default', { ...announced, ...changes }, minVersion).catch((error: unknown) => error)
  const digest = await refusal({ manifestSha256: '0' })
  expect(digest).toBeInstanceOf(PlateauError)
  expect(digest).toMatchObject({ code: 'CHECKPOINT_MANIFEST_DIGEST', retryable: false, facts: { announced: '0' } })
  expect(await refusal({ manifestPath: 'nowhere/manifest.json' })).toMatchObject({ code: 'CHECKPOINT_NOT_FOUND' })
  expect(await refusal({}, announced.version + 1)).toMatchObject({ code: 'CHECKPOINT_ROLLBACK' })
  expect(await loader.load('other', announced, 1).catch((e: unknown) => e)).toMatchObject({
    code: 'CHECKPOINT_LINEAGE',
  })
  const foreign = await publishedCausal(causal(2 * vocabSize))
  expect(await loader.load('default', foreign, 1).catch((e: unknown) => e)).toMatchObject({ code: 'DRAFT_INVALID' })
  const unknown = await published('telepathy', [{ path: 'mind', bytes: Buffer.from('?') }])
  expect(await loader.load('default', unknown, 1).catch((e: unknown) => e)).toMatchObject({
    code: 'DRAFT_KIND_UNKNOWN',
  })
  const unreadable = loaderWith({
    store: {
      ...store,
      read: () => Promise.reject(new PlateauError('CHECKPOINT_UNREADABLE', 'the disk is away', { retryable: true })),
    },
  })
  await expect(unreadable.loader.load('default', announced, 1)).rejects.toMatchObject({ retryable: true })
  expect((await load(loader, announced)).version).toBe(String(announced.version))
})

/** Its reads wait until they are let go, and say that they began. */
function gatedStore() {
  const began: string[] = []
  let gate = Promise.withResolvers<void>()
  gate.resolve()
  const gated: CheckpointStore = {
    ...store,
    read: async (path, maxBytes) => {
      began.push(path)
      await gate.promise
      return store.read(path, maxBytes)
    },
  }
  return { gated, began, hold: () => (gate = Promise.withResolvers()), letGo: () => gate.resolve() }
}

const until = async (condition: () => boolean) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
}

it('builds queue; one that nobody waits for any more ends at once, and those behind it come next', async () => {
  const { gated, began, hold, letGo } = gatedStore()
  const { loader } = loaderWith({ store: gated })
  const [first, second, third] = [await publishedHead(), await publishedHead(), await publishedHead()]
  const [stopFirst, stopSecond] = [new AbortController(), new AbortController()]
  hold()
  const loads = [
    loader.load('default', first, 1, stopFirst.signal),
    loader.load('default', second, 1, stopSecond.signal),
    load(loader, third),
  ]
  const refused = Promise.allSettled(loads.slice(0, 2))
  await until(() => began.length > 0)
  stopFirst.abort(new Error('a newer version is there'))
  stopSecond.abort(new Error('so it is'))
  expect(await refused).toMatchObject([{ reason: stopFirst.signal.reason }, { reason: stopSecond.signal.reason }])
  letGo()
  expect((await loads[2]!).version).toBe(String(third.version))
  expect(began.filter((path) => path === second.manifestPath)).toEqual([])
})

it('a thread that dies costs no draft: it is built here, and the next one in a new thread', async () => {
  const { gated, began, hold, letGo } = gatedStore()
  const { loader, logs } = loaderWith({ store: gated, thread: dyingOnce() })
  hold()
  const announced = await publishedHead()
  const first = load(loader, announced)
  await until(() => logs.length > 0)
  letGo()
  expect((await first).version).toBe(String(announced.version))
  expect(logs).toMatchObject([{ fields: { version: announced.version, error: { code: 'BUILD_THREAD_LOST' } } }])
  const reads = began.length
  await load(loader, await publishedHead())
  expect(began.length).toBeGreaterThan(reads)
  expect(logs).toHaveLength(1)
})

/** The program's first thread ends when it is asked to build. */
function dyingOnce(): NonNullable<DraftLoaderOptions['thread']> {
  let starts = 0
  const dying = new URL(
    `data:text/javascript,${encodeURIComponent("import { parentPort } from 'node:worker_threads'; parentPort.once('message', () => { throw new Error('out of luck') })")}`,
  )
  return {
    get url() {
      return ++starts === 1 ? dying : threadProgram.url
    },
    execArgv: threadProgram.execArgv,
  }
}

it.each([
  ['its file is missing', new URL('nowhere.js', import.meta.url)],
  ['it has no file', new URL('https://example.org/thread.js')],
])('where no thread can be started since %s, drafts are built here', async (_, url) => {
  const { loader, logs } = loaderWith({ thread: { url, execArgv: [] } })
  await load(loader, await publishedHead())
  await load(loader, await publishedCausal())
  expect(logs).toHaveLength(2)
})

it('closing ends a build that is under way, and nothing is built here in its place', async () => {
  const { gated, began, hold } = gatedStore()
  const { loader, logs } = loaderWith({ store: gated })
  hold()
  const refused = loader.load('default', await publishedHead(), 1).catch((error: unknown) => error)
  await until(() => began.length > 0)
  await loader.close()
  expect(await refused).toMatchObject({ code: 'BUILD_THREAD_CLOSED' })
  await expect(loader.load('default', await publishedHead(), 1)).rejects.toMatchObject({ code: 'BUILD_THREAD_CLOSED' })
  expect(logs).toEqual([])
})

/** Half of what a version takes that is kept by mistake: its model, and the layout that its matrices are multiplied in. */
const LEAK_MIB = 0.25

/** What the process holds, MiB: of its heap only what is in use. How much more of that it keeps for itself is no leak. */
function settled(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  const { rss, heapTotal, heapUsed } = process.memoryUsage()
  return (rss - heapTotal + heapUsed) / 2 ** 20
}

it.each([
  ['heads', publishedHead, hiddenSize],
  ['causal drafts', publishedCausal, 0],
] as const)(
  'hundreds of swapped %s leave no memory behind',
  async (_, publish, width) => {
    const announced = [await publish(), await publish(), await publish()]
    const { loader } = loaderWith()
    const settledMib: number[] = []
    const onSwap = (swaps: number) => void (swaps % 100 === 0 && settledMib.push(settled()))
    await swapMany(loader, announced, { swaps: 400, hiddenSize: width, onSwap })
    // The first two hundred find the process still growing into its size.
    expect(settledMib[3]! - settledMib[1]!).toBeLessThan(200 * LEAK_MIB)
  },
  120_000,
)

it('a process may end in the middle of a build, and one that has nothing else to do ends after it', async () => {
  const announced = await publishedHead()
  const pem = key.publicKey.export({ type: 'spki', format: 'pem' }) as string
  const program = new URL('testing/load-and-end.ts', import.meta.url).pathname
  const run = (mode: LoadAndEnd['mode']) => {
    const task: LoadAndEnd = { mode, model: modelDirectory, root, announced, key: { id: key.id, pem } }
    return promisify(execFile)(process.execPath, [...threadProgram.execArgv, program, JSON.stringify(task)])
  }
  expect(await run('end in the middle')).toEqual({ stdout: '', stderr: '' })
  expect(await run('end after it')).toEqual({ stdout: `loaded ${announced.version}\n`, stderr: '' })
})
