import type { Draft } from '@plateau/speculation'
import { UNASSIGNED, type Assignment } from '../rollouts/draft-fleet.js'
import { LoadedDraft } from '../rollouts/loaded-draft.js'

/** Gives every request the draft that was set last, with no roll-out. */
export class NewestDraft {
  readonly failures: unknown[] = []
  readonly #retired: Promise<void>[] = []
  #live: LoadedDraft | undefined

  swap(draft: Draft, version: number): void {
    const identity = { lineage: 'default', version, name: String(version), checkpoint: undefined }
    if (this.#live !== undefined) this.#retired.push(this.#live.retire())
    this.#live = new LoadedDraft(draft, identity, { maxProposal: 4, onReleased: () => {} })
  }

  assign(): Assignment {
    const lease = this.#live?.lease()
    if (lease === undefined) return UNASSIGNED
    return {
      draft: lease.loaded,
      pair: undefined,
      failed: (_, error) => void this.failures.push(error),
      finished: () => {},
      release: () => lease.release(),
    }
  }

  async close(): Promise<void> {
    if (this.#live !== undefined) this.#retired.push(this.#live.retire())
    this.#live = undefined
    await Promise.all(this.#retired)
  }
}
