import { topics } from '@plateau/contracts'
import type { Batch, EventLog, PartitionOffset, Reader } from '@plateau/event-log'

const BATCH_RECORDS = 16

export function readTrainingWindows(log: EventLog, from: readonly PartitionOffset[]): Reader {
  return log.reader({ topic: topics.trainingWindows.name, from, maxBatchRecords: BATCH_RECORDS })
}

/** A reader that can be asked with a time limit. At most one batch is ever held: the log waits, not our memory. */
export class BatchFeed {
  readonly #reader: Reader
  readonly #batches: AsyncIterator<Batch>
  #coming: Promise<IteratorResult<Batch>> | undefined

  constructor(reader: Reader) {
    this.#reader = reader
    this.#batches = reader[Symbol.asyncIterator]()
  }

  /** Undefined when nothing came in time, or the feed was closed. */
  async take(waitMs: number): Promise<Batch | undefined> {
    this.#coming ??= this.#batches.next()
    const late = Promise.withResolvers<undefined>()
    const timer = setTimeout(() => late.resolve(undefined), waitMs)
    try {
      const result = await Promise.race([this.#coming, late.promise])
      if (result === undefined) return undefined
      this.#coming = undefined
      return result.done ? undefined : result.value
    } finally {
      clearTimeout(timer)
    }
  }

  async close(): Promise<void> {
    await this.#reader.close()
    await this.#coming?.catch(() => {})
  }
}
