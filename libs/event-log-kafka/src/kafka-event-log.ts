import type { TopicSpec } from '@plateau/contracts'
import type {
  Consumer,
  ConsumerOptions,
  EventLog,
  Lease,
  LeaseOptions,
  PartitionOffset,
  PartitionRange,
  Producer,
  ProducerOptions,
  Reader,
  ReaderOptions,
  TopicDifference,
} from '@plateau/event-log'
import { closedError } from '@plateau/event-log/adapter'
import type { KafkaConnection } from './connection.js'
import { openConsumer } from './consume/open-consumer.js'
import { openReader } from './consume/open-reader.js'
import { leasesTopic } from './lease/leases-topic.js'
import { openLease } from './lease/open-lease.js'
import { commitOffsets, committedOffsets, topicRanges } from './offsets.js'
import type { BatchSender } from './produce/batch-sender.js'
import { IdempotentSender } from './produce/idempotent-sender.js'
import { LogProducer } from './produce/log-producer.js'
import { PartitionLanes } from './produce/partition-lanes.js'
import { applyTopics, compareTopics, ensureTopics } from './topics/topic-admin.js'

export class KafkaEventLog implements EventLog {
  readonly ownTopics = [leasesTopic as TopicSpec]
  readonly #connection: KafkaConnection
  readonly #sender: IdempotentSender
  /** Shared by every producer of this log: two lanes for one partition would be two writers. */
  readonly #lanes: PartitionLanes
  readonly #producers = new Set<Producer>()
  readonly #consumers = new Set<Consumer>()
  readonly #readers = new Set<Reader>()
  readonly #leases = new Set<Lease>()
  readonly #closed = new AbortController()
  #closing: Promise<void> | undefined
  #isClosed = false

  constructor(connection: KafkaConnection) {
    this.#connection = connection
    this.#sender = new IdempotentSender(connection)
    this.#lanes = new PartitionLanes(this.#sender, connection.settings.timing)
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    this.#checkUsable()
    await ensureTopics(this.#connection, specs)
  }

  async compareTopics(specs: readonly TopicSpec[]): Promise<TopicDifference[]> {
    this.#checkUsable()
    return compareTopics(this.#connection, specs)
  }

  async applyTopics(specs: readonly TopicSpec[]): Promise<TopicDifference[]> {
    this.#checkUsable()
    return applyTopics(this.#connection, specs)
  }

  producer(options: ProducerOptions = {}): Producer {
    this.#checkOpen()
    return this.#openProducer(this.#lanes, options)
  }

  consumer(options: ConsumerOptions): Consumer {
    this.#checkOpen()
    const consumer: Consumer = openConsumer(options, this.#connection, () => this.#consumers.delete(consumer))
    this.#consumers.add(consumer)
    return consumer
  }

  reader(options: ReaderOptions): Reader {
    this.#checkOpen()
    const reader: Reader = openReader(options, this.#connection, () => this.#readers.delete(reader))
    this.#readers.add(reader)
    return reader
  }

  async offsets(topic: string): Promise<PartitionRange[]> {
    this.#checkUsable()
    return topicRanges(this.#connection, topic)
  }

  async committed(group: string, topic: string): Promise<PartitionOffset[]> {
    this.#checkUsable()
    return committedOffsets(this.#connection, group, topic)
  }

  async commit(group: string, topic: string, offsets: readonly PartitionOffset[]): Promise<void> {
    this.#checkUsable()
    await commitOffsets(this.#connection, group, topic, offsets)
  }

  async lease(options: LeaseOptions): Promise<Lease> {
    this.#checkOpen()
    const signal = AbortSignal.any([this.#closed.signal, ...(options.signal === undefined ? [] : [options.signal])])
    const lease = await openLease({ ...options, signal }, this.#connection, (sender) =>
      this.#leaseProducer(sender, options),
    )
    this.#leases.add(lease)
    return lease
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** First what takes in, then what writes, then the connections. */
  async #close(): Promise<void> {
    this.#closed.abort(closedError())
    await Promise.all([...this.#consumers, ...this.#readers].map((open) => open.close()))
    await Promise.all([...this.#leases].map((lease) => lease.release()))
    this.#isClosed = true
    this.#sender.hurry()
    await Promise.all([...this.#producers].map((producer) => producer.close()))
    this.#sender.close()
    this.#connection.close()
  }

  #leaseProducer(sender: BatchSender, { name, topics }: LeaseOptions): Producer {
    const lanes = new PartitionLanes(sender, this.#connection.settings.timing)
    return this.#openProducer(lanes, {}, { name, topics })
  }

  #openProducer(
    lanes: PartitionLanes,
    options: ProducerOptions,
    lease?: Pick<LeaseOptions, 'name' | 'topics'>,
  ): Producer {
    const { topics, settings, wire } = this.#connection
    const onClosed = (): boolean => this.#producers.delete(producer)
    const producer: Producer = new LogProducer({ topics, lanes, wire, nowMs: settings.nowMs, options, lease, onClosed })
    this.#producers.add(producer)
    return producer
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw closedError()
  }

  /** Batches in hand may still need it while the log closes. */
  #checkUsable(): void {
    if (this.#isClosed) throw closedError()
  }
}
