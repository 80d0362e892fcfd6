/**
 * A thread that builds drafts, so that no response stalls while one is read, verified and quantised (SmolLM2: a third of a
 * second). It starts with the first build, stays for the next ones, which find the target's prepared matrix there, and
 * does not keep the process alive.
 *
 *   no thread ──build──▶ building ──built, failed──▶ waiting ──build──▶ building ..
 *       ▲                    └──────── it dies ─────────┘
 *       └────────────────────────────────┘
 */
import { messageOf, PlateauError } from '@plateau/contracts'
import { Worker } from 'node:worker_threads'
import type { BuildRequest, BuiltDraft, DraftBuilderOptions, ReadableStore } from './build-draft.js'
import { ownedBuffers } from './owned-buffers.js'
import {
  receivedError,
  sentError,
  type FromBuildThread,
  type ThreadData,
  type ToBuildThread,
} from './thread-messages.js'

/** What it takes to start the thread: its file, and arguments for Node where that is not yet JavaScript. */
export interface ThreadProgram {
  readonly url: URL
  readonly execArgv: readonly string[]
}

interface Build {
  readonly number: number
  readonly signal: AbortSignal | undefined
  readonly result: PromiseWithResolvers<BuiltDraft>
}

/** Builds make large arrays and few objects; left alone, room for young objects grows by tens of megabytes. */
const YOUNG_MB = 8

/** Code of the error that says that the thread, and not the draft, is to blame: the draft can be built elsewhere. */
export const BUILD_THREAD_LOST = 'BUILD_THREAD_LOST'

export class BuildThread {
  readonly #store: ReadableStore
  readonly #program: ThreadProgram
  readonly #data: ThreadData
  #worker: Worker | undefined
  #current: Build | undefined
  #builds = 0
  #tail: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(store: ReadableStore, builder: DraftBuilderOptions, program = threadProgram) {
    this.#store = store
    this.#program = program
    this.#data = { builder, abandoned: new Int32Array(new SharedArrayBuffer(4)) }
  }

  /**
   * Builds one after the other. Rejects as the builder does, with BUILD_THREAD_LOST when the thread could not start or
   * died, and with the signal's reason as soon as that is aborted; the thread then drops the build at its next stage.
   */
  async build(request: BuildRequest, signal?: AbortSignal): Promise<BuiltDraft> {
    const turn = this.#tail.then(() => this.#buildNow(request, signal))
    this.#tail = turn.catch(() => {})
    return unlessAborted(turn, signal)
  }

  /** Ends the thread at once, in the middle of a build too. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#worker?.terminate()
  }

  async #buildNow(request: BuildRequest, signal: AbortSignal | undefined): Promise<BuiltDraft> {
    signal?.throwIfAborted()
    if (this.#closed) throw closed()
    const worker = (this.#worker ??= this.#start())
    const number = ++this.#builds
    const build: Build = { number, signal, result: Promise.withResolvers() }
    const abandon = () => Atomics.store(this.#data.abandoned, 0, number)
    signal?.addEventListener('abort', abandon)
    this.#current = build
    try {
      // Whoever waits for a build wants the process to stay for it.
      worker.ref()
      this.#tell(worker, { say: 'build', build: number, request })
      return await build.result.promise
    } finally {
      worker.unref()
      signal?.removeEventListener('abort', abandon)
      this.#current = undefined
    }
  }

  #start(): Worker {
    const worker = newWorker(this.#program, this.#data)
    let reason: unknown
    worker.on('message', (message: FromBuildThread) => this.#heard(worker, message))
    worker.on('error', (error) => (reason = error))
    worker.on('exit', () => {
      this.#worker = undefined
      this.#current?.result.reject(this.#closed ? closed() : lost('ended in the middle of a build', reason))
    })
    return worker
  }

  #heard(worker: Worker, message: FromBuildThread): void {
    if (message.say === 'read') return void this.#read(worker, message)
    const build = this.#current
    if (build?.number !== message.build) return
    if (message.say === 'built') build.result.resolve(message.draft)
    else build.result.reject(receivedError(message.error))
  }

  async #read(worker: Worker, { read, path, maxBytes }: Extract<FromBuildThread, { say: 'read' }>): Promise<void> {
    try {
      const bytes = await this.#store.read(path, maxBytes, this.#current?.signal)
      this.#tell(worker, { say: 'file', read, bytes }, ownedBuffers([bytes]))
    } catch (error) {
      this.#tell(worker, { say: 'no file', read, error: sentError(error) })
    }
  }

  #tell(worker: Worker, message: ToBuildThread, transfer: ArrayBuffer[] = []): void {
    worker.postMessage(message, transfer)
  }
}

/** Tests run from sources, which Node has to be taught to read. */
const fromSources = import.meta.url.endsWith('.ts')
export const threadProgram: ThreadProgram = {
  url: new URL(fromSources ? 'build-thread-main.ts' : 'build-thread-main.js', import.meta.url),
  execArgv: fromSources
    ? ['--disable-warning=ExperimentalWarning', '--import', new URL('../testing/run-sources.ts', import.meta.url).href]
    : [],
}

function newWorker({ url, execArgv }: ThreadProgram, workerData: ThreadData): Worker {
  const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_MB }
  try {
    return new Worker(url, { name: 'draft-build', workerData, execArgv: [...execArgv], resourceLimits })
  } catch (error) {
    throw lost('could not be started', error)
  }
}

function lost(how: string, cause: unknown): PlateauError {
  const message = `The thread that builds drafts ${how}: ${messageOf(cause ?? 'no reason given')}`
  return new PlateauError(BUILD_THREAD_LOST, message, { cause, retryable: true })
}

function closed(): PlateauError {
  return new PlateauError('BUILD_THREAD_CLOSED', 'The thread that builds drafts was closed before the draft was built.')
}

async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort)
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
