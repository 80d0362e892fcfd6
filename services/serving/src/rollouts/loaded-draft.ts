import type { DraftCheckpoint } from '@plateau/contracts'
import { SpeculationController, type Draft } from '@plateau/speculation'

/** A request's hold on one version: it proposes with this draft from its first token to its last. */
export interface DraftLease {
  readonly loaded: LoadedDraft
  /** Idempotent. */
  release(): void
}

export interface DraftIdentity {
  readonly lineage: string
  readonly version: number
  /** Under which metrics and acceptance records count it. */
  readonly name: string
  /** Undefined for a draft that was not announced. */
  readonly checkpoint: DraftCheckpoint | undefined
}

export interface LoadedDraftOptions {
  readonly maxProposal: number
  /** Told when its native memory is freed, or could not be. */
  readonly onReleased: (identity: DraftIdentity, error?: unknown) => void
}

/**
 * One version in memory, its controller, and how many requests are on it. What new requests use is decided elsewhere; an
 * old version is released when its last request ends:
 *
 *   loaded ──retire──▶ retired ──last lease ends──▶ released
 */
export class LoadedDraft {
  readonly draft: Draft
  readonly identity: DraftIdentity
  readonly controller: SpeculationController
  readonly #onReleased: LoadedDraftOptions['onReleased']
  readonly #released = Promise.withResolvers<void>()
  #leases = 0
  #retired = false

  /** Owns `draft` from now on. */
  constructor(draft: Draft, identity: DraftIdentity, { maxProposal, onReleased }: LoadedDraftOptions) {
    this.draft = draft
    this.identity = identity
    this.controller = new SpeculationController({
      maxProposal: Math.min(maxProposal, draft.maxProposal),
    })
    this.#onReleased = onReleased
  }

  get version(): number {
    return this.identity.version
  }

  get inFlight(): number {
    return this.#leases
  }

  lease(): DraftLease {
    if (this.#retired && this.#leases === 0) throw new Error(`draft ${this.identity.name} is released already`)
    this.#leases += 1
    let held = true
    return {
      loaded: this,
      release: () => {
        if (!held) return
        held = false
        this.#leases -= 1
        if (this.#retired && this.#leases === 0) this.#release()
      },
    }
  }

  /** Resolves when it is released: end the requests on it. Idempotent. */
  retire(): Promise<void> {
    if (!this.#retired) {
      this.#retired = true
      if (this.#leases === 0) this.#release()
    }
    return this.#released.promise
  }

  #release(): void {
    this.draft
      .release()
      .then(
        () => this.#onReleased(this.identity),
        (error: unknown) => this.#onReleased(this.identity, error),
      )
      .finally(() => this.#released.resolve())
  }
}
