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
import type { KafkaConnection } from './connection.js'
import { openConsumer } from './consume/open-consumer.js'
import { openReader } from './consume/open-reader.js'
import { closedError } from './kafka-errors.js'
import { openLease } from './lease/open-lease.js'

export class KafkaEventLog implements EventLog {
  readonly #connection: KafkaConnection
  readonly #consumers = new Set<Consumer>()
  readonly #readers = new Set<Reader>()
  #closing: Promise<void> | undefined

  constructor(connection: KafkaConnection) {
    this.#connection = connection
  }

  async ensureTopics(_specs: readonly TopicSpec[]): Promise<void> {
    throw new Error('not written yet')
  }

  async compareTopics(_specs: readonly TopicSpec[]): Promise<TopicDifference[]> {
    throw new Error('not written yet')
  }

  async applyTopics(_specs: readonly TopicSpec[]): Promise<TopicDifference[]> {
    throw new Error('not written yet')
  }

  producer(_options: ProducerOptions = {}): Producer {
    throw new Error('not written yet')
  }

  consumer(options: ConsumerOptions): Consumer {
    this.#checkOpen()
    const consumer = openConsumer(options, this.#connection)
    this.#consumers.add(consumer)
    return consumer
  }

  reader(options: ReaderOptions): Reader {
    this.#checkOpen()
    const reader = openReader(options, this.#connection)
    this.#readers.add(reader)
    return reader
  }

  async offsets(_topic: string): Promise<PartitionRange[]> {
    throw new Error('not written yet')
  }

  async committed(_group: string, _topic: string): Promise<PartitionOffset[]> {
    throw new Error('not written yet')
  }

  async commit(_group: string, _topic: string, _offsets: readonly PartitionOffset[]): Promise<void> {
    throw new Error('not written yet')
  }

  async lease(options: LeaseOptions): Promise<Lease> {
    this.#checkOpen()
    return openLease(options, this.#connection, () => this.producer())
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#consumers, ...this.#readers].map((open) => open.close()))
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw closedError()
  }
}
