/**
 * A decoder's sessions, with weights in the format that is asked for.
 *
 * The graph says which weights it wants, they are read one after the other and brought into their format, and the graph
 * is built around them. With a cache, that happens once: the weights lie in a file from which the engine maps them.
 */
import type { CausalLmConfig, WeightFormat, WeightSource } from '@plateau/causal-lm'
import { PlateauError } from '@plateau/contracts'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import {
  buildInMemory,
  buildInto,
  decoderFiles,
  planDecoder,
  type BuiltStep,
  type DecoderPlan,
} from './compiled-decoder.js'
import { allocatesHugePages } from './huge-pages.js'
import { oneTokenFeeds } from './one-token-feeds.js'
import { cachedModel, forgetModel, type ModelCache } from './model-cache.js'
import { engineSignature, loadSession, type InferenceSession, type SessionOptions } from './session.js'
import { keptThreads, keepThreads } from './thread-file.js'
import { measureThreads } from './thread-measurement.js'

export interface DecoderSessionOptions extends Omit<SessionOptions, 'threads'> {
  /**
   * Threads one run may use. 'measured': as many as pay, by running steps for a second; with a cache it is remembered,
   * unless the machine was busy.
   */
  readonly threads: number | 'measured'
  /** How many of the largest logits come out per row; at most vocabSize. */
  readonly topK: number
  /** Longest context in tokens. */
  readonly maxContext: number
  readonly weightFormat: WeightFormat
  /** Whether this process allocates them; not set: see allocatesHugePages. */
  readonly hugePages?: boolean
  /** Where built models are kept; without it the model is built in memory, which takes its size several times meanwhile. */
  readonly cache?: DecoderCache | undefined
}

export interface DecoderCache extends ModelCache {
  /** Names the content of the weights. */
  readonly fingerprint: string
}

export interface DecoderSession {
  readonly session: InferenceSession
  /** Whole rows of logits, from the same weights: see buildHeadGraph. */
  readonly head: () => Promise<InferenceSession>
  readonly threads: number
  /** Where the weights lie: in pages that processes share, in huge pages of this process, or in others of its own. */
  readonly memory: 'shared' | 'huge-pages' | 'own'
  /** What one step reads of the weights: every matrix once, and not the embedding table unless it is the head. */
  readonly weightBytes: number
  readonly fromCache: boolean
  /** Frees both sessions, once their runs are done. Safe to call twice. */
  readonly release: () => Promise<void>
}

export async function loadDecoderSession(
  config: CausalLmConfig,
  source: WeightSource,
  options: DecoderSessionOptions,
): Promise<DecoderSession> {
  const plan = planDecoder(config, options.weightFormat, options)
  const { cache, hugePages = allocatesHugePages() } = options
  const model = await (cache === undefined
    ? inMemory(plan, source, hugePages)
    : inCache(plan, source, cache, hugePages))
  const loadStep = (threads: number) => model.load('step', { ...options, threads })
  const { threads, session } = await withThreads(loadStep, options.threads, model.directory)
  const loadHead = () => model.load('head', { ...options, threads, name: `${options.name} head` })
  const sessions = withHead(session, loadHead)
  if (cache !== undefined) await loadedNow(sessions)
  const { memory, weightBytes, fromCache } = model
  return { ...sessions, threads, memory, weightBytes, fromCache }
}

/** A step that was built before, here or in another thread: loading it is short. Its head is never asked for. */
export async function openBuiltStep(
  { model, weightBytes }: BuiltStep,
  options: SessionOptions & { readonly threads: number },
): Promise<DecoderSession> {
  const session = await loadSession(model, { ...options, optimise: false })
  return {
    session,
    head: () => Promise.reject(new TypeError(`the model "${options.name}" was built without its head`)),
    threads: options.threads,
    memory: allocatesHugePages() ? 'huge-pages' : 'own',
    weightBytes,
    fromCache: false,
    release: () => session.release(),
  }
}

/**
 * By the time that the head is needed first, its files may have made room for another model, and the source may be
 * closed. Mapped files stay, and cost nothing until they are read (SmolLM2's head: 50 ms in int8, 110 in f32, no memory).
 */
async function loadedNow({ head, release }: ReturnType<typeof withHead>): Promise<void> {
  try {
    await head()
  } catch (error) {
    await release()
    throw error
  }
}

interface BuiltDecoder {
  readonly load: (which: 'step' | 'head', options: SessionOptions) => Promise<InferenceSession>
  readonly weightBytes: number
  readonly fromCache: boolean
  readonly memory: DecoderSession['memory']
  /** Its own on disk, if it has one. */
  readonly directory: string | undefined
}

async function inMemory(plan: DecoderPlan, source: WeightSource, hugePages: boolean): Promise<BuiltDecoder> {
  const built = await buildInMemory(plan, source)
  return {
    load: (which, options) => loadSession(built[which](), options),
    weightBytes: built.weightBytes,
    fromCache: false,
    memory: hugePages ? 'huge-pages' : 'own',
    directory: undefined,
  }
}

async function inCache(
  plan: DecoderPlan,
  source: WeightSource,
  cache: DecoderCache,
  hugePages: boolean,
): Promise<BuiltDecoder> {
  const madeOf = [cache.fingerprint, plan.structureHash, await engineSignature()]
  const hash = createHash('sha256').update(madeOf.join('\n')).digest('hex')
  const key = `${plan.format}-${hash.slice(0, 40)}`
  const find = () => cachedModel(cache, key, (directory) => buildInto(directory, plan, source))
  let found = await find()
  // Huge pages are faster, mapped files never lie in them; without them, and for what seldom runs, sharing is better.
  const files = { step: hugePages ? decoderFiles.ownStep : decoderFiles.step, head: decoderFiles.head }
  const load = (which: 'step' | 'head', options: SessionOptions) =>
    loadSession(join(found.directory, files[which]), options)
  return {
    async load(which, options) {
      try {
        return await load(which, options)
      } catch (error) {
        if (!(error instanceof PlateauError) || error.code !== 'MODEL_NOT_LOADABLE' || !found.fromCache) throw error
        // Sizes are right and content is not, or another process has made room since: built anew, once.
        await forgetModel(cache, key)
        found = await find()
        return load(which, options)
      }
    },
    weightBytes: Number(found.facts['weightBytes']),
    get fromCache() {
      return found.fromCache
    },
    memory: hugePages ? 'huge-pages' : 'shared',
    directory: found.directory,
  }
}

async function withThreads(
  load: (threads: number) => Promise<InferenceSession>,
  wanted: number | 'measured',
  directory: string | undefined,
): Promise<{ readonly threads: number; readonly session: InferenceSession }> {
  const known = wanted === 'measured' ? await keptThreads(directory) : wanted
  if (known !== undefined) return { threads: known, session: await load(known) }
  const measured = await measureThreads(
    load,
    async (session) => (await session.timedRun(oneTokenFeeds(session))).elapsedUs,
  )
  await keepThreads(directory, measured.threads)
  return measured
}

function withHead(session: InferenceSession, load: () => Promise<InferenceSession>) {
  let loading: Promise<InferenceSession> | undefined
  const head = () => {
    loading ??= load().catch((error: unknown) => {
      // Tried again by the next call.
      loading = undefined
      throw error
    })
    return loading
  }
  const release = async () => {
    await Promise.all([session.release(), loading?.then((loaded) => loaded.release())])
  }
  return { session, head, release }
}
