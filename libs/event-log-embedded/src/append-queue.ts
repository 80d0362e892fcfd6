import { setImmediate as nextTurn } from 'node:timers/promises'
import type { AppendedRecord } from '@plateau/event-log'
import type { Fence, PlacedRecord, TopicStore } from './topic-store.js'

/** A commit stops the event loop while it runs: about ten milliseconds at these sizes. */
const MAX_COMMIT_BYTES = 1024 * 1024
const MAX_COMMIT_RECORDS = 500

interface PendingSend {
  readonly records: readonly PlacedRecord[]
  readonly bytes: number
  readonly fence: Fence | undefined
  readonly result: PromiseWithResolvers<AppendedRecord[]>
}

/**
 * Group commit for one topic: what several callers send in one turn of the event loop becomes one transaction, in the
 * order of the calls. Its length is bounded by the producers, who wait before they add. What is sent under a lease stands
 * alone, so that a fence refuses nobody else.
 */
export class AppendQueue {
  readonly #store: TopicStore
  readonly #announce: () => void
  #pending: PendingSend[] = []
  #running: Promise<void> | undefined

  constructor(store: TopicStore, announce: () => void) {
    this.#store = store
    this.#announce = announce
  }

  add(records: readonly PlacedRecord[], bytes: number, fence?: Fence): Promise<AppendedRecord[]> {
    const result = Promise.withResolvers<AppendedRecord[]>()
    this.#pending.push({ records, bytes, fence, result })
    this.#running ??= this.#run()
    return result.promise
  }

  /** Resolves when nothing is pending. Failures have gone to those who sent. */
  async drain(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#pending.length > 0) {
      await nextTurn()
      await this.#commit(this.#takeGroup())
    }
    this.#running = undefined
  }

  async #commit(group: readonly PendingSend[]): Promise<void> {
    try {
      const records = group.flatMap((send) => send.records)
      const appended = await this.#store.database.whenFree(() => this.#store.append(records, group[0]?.fence))
      let taken = 0
      for (const send of group) send.result.resolve(appended.slice(taken, (taken += send.records.length)))
      this.#announce()
    } catch (thrown) {
      for (const send of group) send.result.reject(thrown)
    }
  }

  #takeGroup(): PendingSend[] {
    let records = 0
    let bytes = 0
    const tooMany = this.#pending.findIndex((send, index) => {
      records += send.records.length
      bytes += send.bytes
      const isTooMany = records > MAX_COMMIT_RECORDS || bytes > MAX_COMMIT_BYTES
      return index > 0 && (isTooMany || send.fence !== this.#pending[0]?.fence)
    })
    return this.#pending.splice(0, tooMany < 0 ? this.#pending.length : tooMany)
  }
}
