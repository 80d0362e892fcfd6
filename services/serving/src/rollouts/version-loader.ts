import { PlateauError, type DraftCheckpoint } from '@plateau/contracts'
import type { Draft } from '@plateau/speculation'
import { setTimeout as sleep } from 'node:timers/promises'
import { LoadedDraft, type DraftIdentity } from './loaded-draft.js'
import type { RolloutTrace } from './rollout-trace.js'

export interface VersionLoaderOptions {
  readonly lineage: string
  /** Verifies a checkpoint in full and builds its draft beside the live one. Throws when it may not be served. */
  readonly load: (checkpoint: DraftCheckpoint, minVersion: number, signal: AbortSignal) => Promise<Draft>
  /** Plain against speculative decoding; what it found, for a person. Throws when they differ. */
  readonly probe: (loaded: LoadedDraft, signal: AbortSignal) => Promise<string>
  /** A checkpoint that is not announced any more; throws when the store does not have it. */
  readonly find: (version: number) => Promise<DraftCheckpoint>
  readonly nameOf: (version: number) => string
  readonly maxProposal: number
  readonly onReleased: (identity: DraftIdentity, error?: unknown) => void
  /** Aborted when the service stops. */
  readonly signal: AbortSignal
}

export interface VerifiedVersion {
  readonly loaded: LoadedDraft
  /** For a person. */
  readonly found: string
}

/** Tries at a checkpoint whose failure may pass (a store that is slow or down), with growing pauses. */
const TRIES = 4
const FIRST_RETRY_MS = 200
/** Announcements that are remembered, for orders that name them. */
const KNOWN = 256

/** A lineage's checkpoints, as far as this server has heard of them, and how one becomes a draft in memory. */
export class VersionLoader {
  readonly #options: VersionLoaderOptions
  readonly #known = new Map<number, DraftCheckpoint>()

  constructor(options: VersionLoaderOptions) {
    this.#options = options
  }

  remember(checkpoint: DraftCheckpoint): void {
    this.#known.set(checkpoint.version, checkpoint)
    if (this.#known.size > KNOWN) this.#known.delete(Math.min(...this.#known.keys()))
  }

  known(version: number): DraftCheckpoint | undefined {
    return this.#known.get(version)
  }

  /** 0 = none. */
  get newest(): number {
    return Math.max(0, ...this.#known.keys())
  }

  /** Every check, in order. `isOutdated`: another version is waiting, so a store that is away is not asked again. */
  async verified(
    checkpoint: DraftCheckpoint,
    minVersion: number,
    trace: RolloutTrace,
    isOutdated: () => boolean,
  ): Promise<VerifiedVersion> {
    const { probe, signal } = this.#options
    const loaded = await trace.step('verify version', () => this.#load(checkpoint, minVersion, isOutdated))
    try {
      const probed = await trace.step('probe version', () => probe(loaded, signal))
      return { loaded, found: `signature, digests, target, tokenizer and shapes match; ${probed}` }
    } catch (error) {
      await loaded.retire()
      throw error
    }
  }

  /** The same for a version that an order names. */
  async fetched(version: number, trace: RolloutTrace): Promise<LoadedDraft> {
    const checkpoint = this.#known.get(version) ?? (await this.#options.find(version))
    this.remember(checkpoint)
    return (await this.verified(checkpoint, version, trace, () => false)).loaded
  }

  async #load(checkpoint: DraftCheckpoint, minVersion: number, isOutdated: () => boolean): Promise<LoadedDraft> {
    const { lineage, nameOf, maxProposal, onReleased } = this.#options
    const draft = await this.#loadWithRetries(checkpoint, minVersion, isOutdated)
    const { version } = checkpoint
    return new LoadedDraft(draft, { lineage, version, name: nameOf(version), checkpoint }, { maxProposal, onReleased })
  }

  async #loadWithRetries(checkpoint: DraftCheckpoint, minVersion: number, isOutdated: () => boolean): Promise<Draft> {
    const { load, signal } = this.#options
    for (let attempt = 1; ; attempt++) {
      try {
        return await load(checkpoint, minVersion, signal)
      } catch (error) {
        const passing = error instanceof PlateauError && error.retryable
        if (!passing || attempt === TRIES || isOutdated()) throw error
        await sleep(FIRST_RETRY_MS * 2 ** attempt, undefined, { signal })
      }
    }
  }
}
