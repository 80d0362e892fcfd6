import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Batch, PartitionOffset, Reader, ReaderOptions } from '@plateau/event-log'
import { closedError, Pulse } from '@plateau/event-log/adapter'
import type { KafkaConnection } from '../connection.js'
import { EARLIEST, KafkaCluster, LATEST } from '../kafkajs/kafka-cluster.js'
import { Fetcher } from './fetcher.js'
import type { PartitionFeed } from './partition-feed.js'
import { patiently } from './patience.js'

const DEFAULT_BATCH_RECORDS = 256

/**
 * Reads a topic's partitions in turn, one batch at a time, outside any group. `caughtUp` resolves when the loop comes
 * back for more, so that by then the last batch has been dealt with, too; it rejects when the reader ends before.
 * Memory: see Fetcher.
 */
export class KafkaReader implements Reader {
  readonly caughtUp: Promise<void>
  readonly #options: ReaderOptions
  readonly #connection: KafkaConnection
  readonly #cluster: KafkaCluster
  readonly #fetcher: Fetcher
  readonly #maxRecords: number
  readonly #stir = new Pulse()
  readonly #caughtUp = Promise.withResolvers<void>()
  readonly #opened: Promise<void>
  readonly #onClosed: () => void
  #feeds: readonly PartitionFeed[] = []
  /** Where the topic ended when the reader was made. */
  #goal: readonly PartitionOffset[] = []
  #turn = 0
  #isClosed = false

  constructor(options: ReaderOptions, connection: KafkaConnection, onClosed: () => void) {
    this.#options = options
    this.#connection = connection
    this.#onClosed = onClosed
    this.#maxRecords = options.maxBatchRecords ?? DEFAULT_BATCH_RECORDS
    this.#cluster = new KafkaCluster(connection.config)
    this.#fetcher = new Fetcher(this.#cluster, connection)
    this.caughtUp = this.#caughtUp.promise
    // Not everyone waits for it: its rejection alone must not end the process.
    this.caughtUp.catch(() => {})
    this.#opened = this.#open()
    this.#opened.catch((thrown: unknown) => this.#caughtUp.reject(thrown))
  }

  [Symbol.asyncIterator](): AsyncIterator<Batch, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        await this.close()
        return { done: true, value: undefined }
      },
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const feed of this.#feeds) feed.close()
    this.#fetcher.close()
    this.#cluster.close()
    this.#stir.fire()
    this.#caughtUp.reject(closedError())
    this.#onClosed()
  }

  async #open(): Promise<void> {
    const { topic, from } = this.#options
    const attempt = { doing: 'read', topic, needs: 'Read' } as const
    const ends = await patiently(this.#connection, attempt, () => this.#ask(LATEST))
    const starts = from === 'latest' ? ends : await patiently(this.#connection, attempt, () => this.#ask(EARLIEST))
    if (this.#isClosed) return
    this.#goal = ends
    this.#feeds = starts.map(({ partition, offset }) => {
      const named = typeof from === 'string' ? undefined : from.find((one) => one.partition === partition)
      const position = Math.max(named?.offset ?? offset, offset)
      return this.#fetcher.feed(topic, partition, position, () => this.#stir.fire())
    })
    this.#settleCaughtUp()
  }

  /** Not worth another try once the reader is closed. */
  async #ask(which: number): Promise<PartitionOffset[]> {
    if (this.#isClosed) throw closedError()
    return this.#cluster.offsetsOf(this.#options.topic, which)
  }

  async #next(): Promise<IteratorResult<Batch, undefined>> {
    try {
      await this.#opened
      this.#settleCaughtUp()
      // Records that are there already are read without waiting: without this they would keep everyone from their turn.
      await nextTurn()
      while (!this.#isClosed) {
        const stirred = this.#stir.next()
        const batch = await this.#readInTurn()
        if (this.#isClosed) break
        if (batch !== undefined) return { done: false, value: batch }
        this.#settleCaughtUp()
        await stirred
      }
      return { done: true, value: undefined }
    } catch (thrown) {
      if (this.#isClosed) return { done: true, value: undefined }
      this.#caughtUp.reject(thrown)
      await this.close()
      throw thrown
    }
  }

  /** No partition waits for more than one batch of each other one. */
  async #readInTurn(): Promise<Batch | undefined> {
    const { topic } = this.#options
    for (let tried = 0; tried < this.#feeds.length; tried++) {
      const feed = this.#feeds[this.#turn++ % this.#feeds.length]
      const fed = await feed?.read(this.#maxRecords)
      if (feed === undefined || fed === undefined) continue
      return { topic, partition: feed.partition, records: fed.records, highWatermark: fed.highWatermark }
    }
    return undefined
  }

  #settleCaughtUp(): void {
    const position = new Map(this.#feeds.map((feed) => [feed.partition, feed.position]))
    if (this.#goal.every(({ partition, offset }) => (position.get(partition) ?? 0) >= offset)) this.#caughtUp.resolve()
  }
}
