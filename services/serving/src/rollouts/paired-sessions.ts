import type { TopK } from '@plateau/contracts'
import type { DraftSession, DraftStart, SparseDistribution } from '@plateau/speculation'
import { packRows } from '../pack-rows.js'
import { nextOf } from './held-out-windows.js'
import type { DraftLease, LoadedDraft } from './loaded-draft.js'

/** Whether a version waits for the verdict, or for another one; is watched because it is new; or has been confirmed. */
export type ComparisonStage = 'trial' | 'watch' | 'confirmed'

/** Two versions that are compared on a response, whichever of them proposes in it. */
export interface DraftPair {
  readonly candidate: DraftLease
  /** Undefined: there is none, and its alpha counts 0. */
  readonly incumbent: DraftLease | undefined
  readonly stage: ComparisonStage
  /** alpha of both at one position of the response. */
  readonly record: (candidate: number, incumbent: number) => void
}

/** Of the rounds that ask the target, one in so many is compared. */
const INTERVAL = 2
/** Rounds that go without asking, at most, beside a comparison. */
export const PAIRED_PLAIN_RUN = 1

const NO_OPINION: SparseDistribution = { ids: [], probs: [] }

/**
 * Both versions of a pair beside one response, each with a session of its own. They say what they expect at the first
 * position of a round, the target says how much of it is p; nothing that they say is proposed.
 */
export class PairedSessions {
  readonly #pair: DraftPair
  readonly #onError: (failing: LoadedDraft, error: unknown) => void
  #open: readonly { readonly loaded: LoadedDraft; readonly session: DraftSession }[] = []
  #rounds = 0

  constructor(pair: DraftPair, onError: (failing: LoadedDraft, error: unknown) => void) {
    this.#pair = pair
    this.#onError = onError
  }

  open(start: DraftStart): void {
    const { candidate, incumbent } = this.#pair
    for (const { loaded } of [candidate, ...(incumbent === undefined ? [] : [incumbent])]) {
      this.#guard(loaded, () => {
        this.#open = [...this.#open, { loaded, session: loaded.draft.open(start) }]
      })
    }
  }

  get isOpen(): boolean {
    return this.#open.length > 0
  }

  /** What goes to the target with the next round; undefined: this round is not compared. */
  async rows(): Promise<TopK | undefined> {
    if (!this.isOpen || this.#rounds++ % INTERVAL !== 0) return undefined
    const rows: SparseDistribution[] = []
    for (const { loaded, session } of this.#open) {
      try {
        rows.push((await nextOf(session)) ?? NO_OPINION)
      } catch (error) {
        this.#failed(loaded, error)
        return undefined
      }
    }
    if (rows.some(({ ids }) => ids.length > 0)) return packRows(rows)
    // Silent drafts are a tie that needs no target.
    this.#pair.record(0, 0)
    return undefined
  }

  /** alpha of the rows that were sent; empty where none were. */
  judged(alphas: readonly number[]): void {
    if (alphas.length > 0) this.#pair.record(alphas[0]!, alphas[1] ?? 0)
  }

  adopt(tokens: readonly number[], features: Float32Array): void {
    for (const { loaded, session } of this.#open) this.#guard(loaded, () => session.adopt(tokens, features))
  }

  /** Idempotent. */
  close(): void {
    const open = this.#open
    this.#open = []
    for (const { loaded, session } of open) {
      try {
        session.close()
      } catch (error) {
        this.#onError(loaded, error)
      }
    }
  }

  #guard(loaded: LoadedDraft, work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#failed(loaded, error)
    }
  }

  /** The response goes on without the comparison: with one of the two it is none. */
  #failed(loaded: LoadedDraft, error: unknown): void {
    this.#onError(loaded, error)
    this.close()
  }
}
