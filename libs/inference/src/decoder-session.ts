/**
 * A decoder's sessions, with weights in the format that is asked for.
 *
 * The graph says which weights it wants, they are read one after the other and brought into their format, and the graph
 * is built around them. With a cache, that happens once: the weights lie in a file from which the engine maps them.
 */
import type { CausalLmConfig, WeightFormat, WeightSource } from '@plateau/causal-lm'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { buildInMemory, buildInto, decoderFiles, planDecoder, type DecoderPlan } from './compiled-decoder.js'
import { cachedModel, forgetModel, type ModelCache } from './model-cache.js'
import { engineSignature, loadSession, type InferenceSession, type SessionOptions } from './session.js'

export interface DecoderSessionOptions extends SessionOptions {
  /** How many of the largest logits come out per row; at most vocabSize. */
  readonly topK: number
  /** Longest context in tokens. */
  readonly maxContext: number
  readonly weightFormat: WeightFormat
  /** Where built models are kept; without it the model is built in memory, which takes its size several times meanwhile. */
  readonly cache?: DecoderCache | undefined
}

export interface DecoderCache extends ModelCache {
  /** Names the content of the weights. */
  readonly fingerprint: string
}

export interface DecoderSession {
  readonly session: InferenceSession
  /** Whole rows of logits, from the same weights: see buildHeadGraph. Loaded by the first call. */
  readonly head: () => Promise<InferenceSession>
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
  if (options.cache !== undefined) return loadThroughCache(plan, source, options, options.cache)
  const built = await buildInMemory(plan, source)
  const session = await loadSession(built.step, options)
  const loadHead = () => loadSession(built.head(), headOptions(options))
  return { ...withHead(session, loadHead), weightBytes: built.weightBytes, fromCache: false }
}

async function loadThroughCache(
  plan: DecoderPlan,
  source: WeightSource,
  options: DecoderSessionOptions,
  cache: DecoderCache,
): Promise<DecoderSession> {
  const madeOf = [cache.fingerprint, plan.structureHash, await engineSignature()]
  const hash = createHash('sha256').update(madeOf.join('\n')).digest('hex')
  const key = `${plan.format}-${hash.slice(0, 40)}`
  const find = () => cachedModel(cache, key, (directory) => buildInto(directory, plan, source))
  /** Sizes may be right and content wrong, or another process has made room since: then it is built anew, once. */
  const load = async (file: string, sessionOptions: SessionOptions) => {
    const found = await find()
    try {
      return { found, session: await loadSession(join(found.directory, file), sessionOptions) }
    } catch (error) {
      if (!found.fromCache) throw error
      await forgetModel(cache, key)
      const rebuilt = await find()
      return { found: rebuilt, session: await loadSession(join(rebuilt.directory, file), sessionOptions) }
    }
  }
  const { found, session } = await load(decoderFiles.step, options)
  const loadHead = async () => (await load(decoderFiles.head, headOptions(options))).session
  const { facts, fromCache } = found
  return { ...withHead(session, loadHead), weightBytes: Number(facts['weightBytes']), fromCache }
}

function headOptions(options: DecoderSessionOptions): SessionOptions {
  return { ...options, name: `${options.name} head` }
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
