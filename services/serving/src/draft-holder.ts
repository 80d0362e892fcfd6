import { SpeculationController, type Draft } from '@plateau/speculation'

/** One loaded version, its controller, and how many requests are on it. */
interface Loaded {
  readonly draft: Draft
  readonly version: number
  readonly controller: SpeculationController
  leases: number
  retired: boolean
}

/** A request's hold on one version: it proposes with this draft from its first token to its last. */
export interface DraftLease {
  readonly draft: Draft
  readonly controller: SpeculationController
  /** Idempotent. */
  release(): void
}

export interface DraftHolderOptions {
  readonly maxProposal: number
  readonly onSwap?: () => void
  /** Told when a version's native memory is freed, or could not be. */
  readonly onReleased?: (version: number, error?: unknown) => void
}

/**
 * The draft that new requests use. A swap only changes what the next request gets; an old version is released when its
 * last request ends:
 *
 *   live ──swap──▶ retired ──last lease ends──▶ released
 */
export class DraftHolder {
  readonly #options: DraftHolderOptions
  readonly #releases = new Set<Promise<void>>()
  #live: Loaded | undefined
  #swaps = 0

  constructor(options: DraftHolderOptions) {
    this.#options = options
  }

  /** 0 = none. */
  get liveVersion(): number {
    return this.#live?.version ?? 0
  }

  get controller(): SpeculationController | undefined {
    return this.#live?.controller
  }

  get swaps(): number {
    return this.#swaps
  }

  lease(): DraftLease | undefined {
    const loaded = this.#live
    if (loaded === undefined) return undefined
    loaded.leases += 1
    let held = true
    return {
      draft: loaded.draft,
      controller: loaded.controller,
      release: () => {
        if (!held) return
        held = false
        loaded.leases -= 1
        this.#releaseIfUnused(loaded)
      },
    }
  }

  /** New requests use `draft` from now on. The holder owns it. */
  swap(draft: Draft, version: number): void {
    const maxProposal = Math.min(this.#options.maxProposal, draft.maxProposal)
    const old = this.#live
    this.#live = { draft, version, controller: new SpeculationController({ maxProposal }), leases: 0, retired: false }
    this.#swaps += 1
    this.#options.onSwap?.()
    if (old !== undefined) this.#retire(old)
  }

  /** Retires what is live and resolves when every version is released: end the requests first. */
  async close(): Promise<void> {
    const last = this.#live
    this.#live = undefined
    if (last !== undefined) this.#retire(last)
    await Promise.all(this.#releases)
  }

  #retire(loaded: Loaded): void {
    loaded.retired = true
    this.#releaseIfUnused(loaded)
  }

  #releaseIfUnused(loaded: Loaded): void {
    if (!loaded.retired || loaded.leases > 0) return
    const { onReleased = () => {} } = this.#options
    const release = loaded.draft.release().then(
      () => onReleased(loaded.version),
      (error: unknown) => onReleased(loaded.version, error),
    )
    this.#releases.add(release)
    void release.finally(() => this.#releases.delete(release))
  }
}
