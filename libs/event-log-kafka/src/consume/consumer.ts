import type { Batch, BatchControl, Consumer, ConsumerOptions } from '@plateau/event-log'
import { closedError } from '@plateau/event-log/adapter'
import type { KafkaConnection } from '../connection.js'
import { EARLIEST, KafkaCluster, LATEST } from '../kafkajs/kafka-cluster.js'
import { keyOf, type TopicPartition } from './assign-sticky.js'
import { Fetcher } from './fetcher.js'
import { GroupMember } from './group-member.js'
import { patiently } from './patience.js'
import type { PartitionFeed } from './partition-feed.js'
import { PartitionLane } from './partition-lane.js'

const DEFAULT_SESSION_TIMEOUT_MS = 10_000
const DEFAULT_BATCH_RECORDS = 256

type Handler = (batch: Batch, control: BatchControl) => Promise<void>

/**
 * A member of a group that runs one lane for each partition it holds. Memory: see Fetcher.
 *
 *   idle ──run──▶ running ──close, or something fails──▶ closing (lanes finish, then it leaves) ──▶ closed
 */
export class KafkaConsumer implements Consumer {
  readonly #options: ConsumerOptions
  readonly #connection: KafkaConnection
  readonly #cluster: KafkaCluster
  readonly #fetcher: Fetcher
  readonly #member: GroupMember
  readonly #sessionTimeoutMs: number
  readonly #onAlive: () => void
  readonly #onClosed: () => void
  readonly #lanes = new Map<string, PartitionLane>()
  readonly #closed = Promise.withResolvers<void>()
  #state: 'idle' | 'running' | 'closing' | 'closed' = 'idle'
  #handler: Handler = async () => {}
  #isPaused = false
  #failure: { readonly thrown: unknown } | undefined

  constructor(options: ConsumerOptions, connection: KafkaConnection, onClosed: () => void) {
    this.#options = options
    this.#connection = connection
    this.#sessionTimeoutMs = options.sessionTimeoutMs ?? DEFAULT_SESSION_TIMEOUT_MS
    this.#onAlive = options.onAlive ?? (() => {})
    this.#onClosed = onClosed
    this.#cluster = new KafkaCluster(connection.config)
    this.#fetcher = new Fetcher(this.#cluster, connection, { onAlive: this.#onAlive })
    const { group, topics } = options
    this.#member = new GroupMember(
      { group, topics, sessionTimeoutMs: this.#sessionTimeoutMs },
      this.#cluster,
      connection,
      {
        onAssigned: (partition) => this.#startLane(partition),
        onRevoked: (partition) => this.#revoke(partition),
        onLost: (partition) => this.#lanes.get(keyOf(partition))?.lose(),
        onAlive: this.#onAlive,
      },
    )
  }

  get assigned(): Consumer['assigned'] {
    return [...this.#lanes.values()].filter((lane) => lane.isActive).map(({ owned }) => owned)
  }

  async run(handler: Handler): Promise<void> {
    if (this.#state !== 'idle') throw closedError()
    this.#state = 'running'
    this.#handler = handler
    try {
      const known = Promise.all(this.#options.topics.map((topic) => this.#connection.topics.get(topic)))
      await Promise.race([known, this.#closed.promise])
      if (this.#state === 'running') this.#member.run().catch((thrown: unknown) => this.#fail(thrown))
    } catch (thrown) {
      this.#fail(thrown)
    }
    await this.#closed.promise
    if (this.#failure !== undefined) throw this.#failure.thrown
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    for (const lane of this.#lanes.values()) lane.stir()
  }

  /** Not to be awaited inside the handler, whose end it waits for. */
  async close(): Promise<void> {
    if (this.#state === 'idle') this.#finish()
    if (this.#state === 'running') this.#shutDown()
    await this.#closed.promise
  }

  #startLane(owned: TopicPartition): void {
    const key = keyOf(owned)
    // A lane that is still finishing keeps its place: one batch at a time per partition, across a loss, too.
    if (this.#state !== 'running' || this.#lanes.has(key)) return
    const lane = new PartitionLane(owned, {
      group: this.#options.group,
      maxBatchRecords: this.#options.maxBatchRecords ?? DEFAULT_BATCH_RECORDS,
      start: (onChange, isWanted) => this.#openFeed(owned, onChange, isWanted),
      commit: (nextOffset, isMine) => this.#member.commit(owned, nextOffset, isMine),
      handler: this.#handler,
      isPaused: () => this.#isPaused,
      onAlive: this.#onAlive,
    })
    this.#lanes.set(key, lane)
    void this.#watchLane(key, lane)
  }

  async #watchLane(key: string, lane: PartitionLane): Promise<void> {
    try {
      await lane.done
    } catch (thrown) {
      this.#fail(thrown)
    }
    this.#lanes.delete(key)
    if (lane.wasLost && this.#member.holds(lane.owned)) this.#startLane(lane.owned)
  }

  /** The batch in hand gets as long to finish as a member may be silent; then it is abandoned. */
  async #revoke(partition: TopicPartition): Promise<void> {
    const lane = this.#lanes.get(keyOf(partition))
    if (lane === undefined) return
    lane.stop()
    const timer = setTimeout(() => lane.lose(), this.#sessionTimeoutMs)
    await lane.released
    clearTimeout(timer)
  }

  async #openFeed(
    owned: TopicPartition,
    onChange: () => void,
    isWanted: () => boolean,
  ): Promise<PartitionFeed | undefined> {
    const committed = await this.#member.committed(owned, isWanted)
    if (committed === undefined) return undefined
    const start = committed >= 0 ? committed : await this.#firstOffset(owned, isWanted)
    return start === undefined ? undefined : this.#fetcher.feed(owned.topic, owned.partition, start, onChange)
  }

  /** Where a group that never committed begins. */
  async #firstOffset(owned: TopicPartition, isWanted: () => boolean): Promise<number | undefined> {
    const { topic, partition } = owned
    const which = this.#options.from === 'latest' ? LATEST : EARLIEST
    return patiently(this.#connection, { doing: 'read', topic, partition, needs: 'Read' }, async () => {
      if (!this.#member.holds(owned) || !isWanted()) return undefined
      return this.#cluster.offsetOf(owned, which)
    })
  }

  #fail(thrown: unknown): void {
    this.#failure ??= { thrown }
    if (this.#state === 'running') this.#shutDown()
  }

  #shutDown(): void {
    this.#state = 'closing'
    for (const lane of this.#lanes.values()) lane.stop()
    void this.#leave()
      .catch((thrown: unknown) => (this.#failure ??= { thrown }))
      .finally(() => this.#finish())
  }

  /** The heartbeat goes on until the last batch in hand is done. */
  async #leave(): Promise<void> {
    const lanes = [...this.#lanes.values()]
    await Promise.allSettled(lanes.map((lane) => lane.done))
    await this.#member.leave()
    for (const lane of lanes) lane.lose()
  }

  #finish(): void {
    this.#state = 'closed'
    this.#fetcher.close()
    this.#cluster.close()
    this.#onClosed()
    this.#closed.resolve()
  }
}
