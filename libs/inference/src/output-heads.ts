import type { BuiltOutputHead } from './built-feature-head.js'
import { loadSession, type InferenceSession } from './session.js'

interface Loaded {
  readonly session: Promise<InferenceSession>
  users: number
}

/** A share in a loaded output head. */
export interface OutputHeadLease {
  readonly session: InferenceSession
  /** Resolves when the native memory is freed, where this was the last share. Idempotent. */
  release(): Promise<void>
}

/**
 * Output heads that stand apart, of one target: loaded by the first version of a vocabulary, shared by those that follow,
 * freed with the last of them.
 */
export class OutputHeads {
  readonly #loaded = new Map<string, Loaded>()

  /** What is loaded stays so until the lease is released: a build may count on it. */
  hold(): { readonly loaded: readonly string[]; release(): Promise<void> } {
    const held = [...this.#loaded]
    for (const [, loaded] of held) loaded.users += 1
    const release = once(() => Promise.all(held.map(([key, loaded]) => this.#leave(key, loaded))))
    return { loaded: held.map(([key]) => key), release }
  }

  /** Throws RangeError where it is not loaded and its model is missing. */
  async lease({ key, model }: BuiltOutputHead, threads: number): Promise<OutputHeadLease> {
    const loaded = this.#loaded.get(key) ?? this.#load(key, model, threads)
    loaded.users += 1
    const release = once(() => this.#leave(key, loaded))
    try {
      return { session: await loaded.session, release }
    } catch (error) {
      await release()
      throw error
    }
  }

  #load(key: string, model: Uint8Array | undefined, threads: number): Loaded {
    if (model === undefined) throw new RangeError('the output head was built before and is not loaded any more')
    const session = loadSession(model, { threads, name: 'output head of drafts', optimise: false })
    const loaded = { session, users: 0 }
    this.#loaded.set(key, loaded)
    return loaded
  }

  async #leave(key: string, loaded: Loaded): Promise<void> {
    loaded.users -= 1
    if (loaded.users > 0) return
    if (this.#loaded.get(key) === loaded) this.#loaded.delete(key)
    const session = await loaded.session.catch(() => undefined)
    await session?.release()
  }
}

function once(release: () => Promise<unknown>): () => Promise<void> {
  let released: Promise<void> | undefined
  return () => (released ??= release().then(() => {}))
}
