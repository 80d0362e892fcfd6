import { randomUUID } from 'node:crypto'
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
import { AppendQueue } from './append-queue.js'
import { EmbeddedConsumer } from './consumer.js'
import { CONTROL_SCHEMA } from './control-schema.js'
import { Database, type DatabaseOptions } from './database.js'
import { type LogDirectory, prepareDirectory } from './directory.js'
import { GroupStore } from './group-store.js'
import { takeLease } from './lease.js'
import { LeaseStore } from './lease-store.js'
import { Maintenance } from './maintenance.js'
import { EmbeddedProducer, type ProducerParts } from './producer.js'
import { EmbeddedReader, failedReader } from './reader.js'
import type { StoredTopic } from './topic-differences.js'
import { TopicRegistry } from './topic-registry.js'
import { TopicStore } from './topic-store.js'
import { WakeBoard } from './wake-board.js'

const DEFAULT_LEASE_SESSION_TIMEOUT_MS = 10_000

export interface EmbeddedEventLogOptions {
  /** 'normal' (default): acknowledged records survive the death of any process. 'full': also a power cut. */
  readonly synchronous?: 'normal' | 'full'
  /** A topic's file does not grow beyond this: sends then fail with LOG_FULL. Default: as far as the disk goes. */
  readonly maxTopicBytes?: number
  /** How often retention and compaction look for work. Default 1000. */
  readonly maintenanceIntervalMs?: number
  /** Compaction leaves records younger than this alone, so that readers close to the end see every change. Default 60 s. */
  readonly compactionLagMs?: number
  /** The null of a removed key stays this long, so that readers learn of the removal. Default 24 h. */
  readonly tombstoneRetentionMs?: number
  /** Hears what retention and compaction failed at; they try again. */
  readonly onMaintenanceError?: (thrown: unknown) => void
  readonly nowMs?: () => number
}

/**
 * Opens the event log in `directory`, which several processes of one machine may do at once (a local disk: SQLite's
 * locks do not hold on network file systems). Creates it when it is missing or empty; throws LOG_UNAVAILABLE when the
 * directory belongs to something else, cannot be written or is damaged.
 */
export function openEmbeddedEventLog(directory: string, options: EmbeddedEventLogOptions = {}): EventLog {
  return new EmbeddedEventLog(prepareDirectory(directory), options)
}

class EmbeddedEventLog implements EventLog {
  readonly ownTopics = []
  readonly #directory: LogDirectory
  readonly #databaseOptions: DatabaseOptions
  readonly #nowMs: () => number
  readonly #control: Database
  readonly #registry: TopicRegistry
  readonly #groups: GroupStore
  readonly #leases: LeaseStore
  readonly #wake: WakeBoard
  readonly #maintenance: Maintenance
  readonly #stores = new Map<string, TopicStore>()
  readonly #queues = new Map<string, AppendQueue>()
  readonly #producers = new Set<Producer>()
  readonly #consumers = new Set<Consumer>()
  readonly #readers = new Set<Reader>()
  readonly #held = new Set<Lease>()
  readonly #taking = new Set<Promise<Lease>>()
  readonly #waiting = new AbortController()
  #closing: Promise<void> | undefined
  #isClosed = false

  constructor(directory: LogDirectory, options: EmbeddedEventLogOptions) {
    this.#directory = directory
    const synchronous = options.synchronous ?? 'normal'
    this.#databaseOptions = { synchronous, maxBytes: options.maxTopicBytes }
    this.#nowMs = options.nowMs ?? Date.now
    this.#control = new Database(directory.controlFile, CONTROL_SCHEMA, { synchronous })
    this.#registry = new TopicRegistry(this.#control)
    this.#groups = new GroupStore(this.#control, this.#nowMs)
    this.#leases = new LeaseStore(this.#control, this.#nowMs)
    this.#wake = new WakeBoard(directory.wakeDirectory)
    this.#maintenance = new Maintenance(
      {
        control: this.#control,
        registry: this.#registry,
        storeOf: (topic) => this.#storeOf(topic),
        nowMs: this.#nowMs,
      },
      {
        intervalMs: options.maintenanceIntervalMs ?? 1000,
        compactionLagMs: options.compactionLagMs ?? 60_000,
        tombstoneRetentionMs: options.tombstoneRetentionMs ?? 24 * 3_600_000,
        onError: options.onMaintenanceError ?? (() => {}),
      },
    )
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    this.#checkUsable()
    await this.#registry.ensure(specs)
  }

  async compareTopics(specs: readonly TopicSpec[]): Promise<TopicDifference[]> {
    this.#checkUsable()
    return this.#registry.compare(specs)
  }

  async applyTopics(specs: readonly TopicSpec[]): Promise<TopicDifference[]> {
    this.#checkUsable()
    return this.#registry.apply(specs)
  }

  producer(options: ProducerOptions = {}): Producer {
    this.#checkOpen()
    return this.#openProducer(options)
  }

  consumer(options: ConsumerOptions): Consumer {
    this.#checkOpen()
    const consumer = new EmbeddedConsumer(options, {
      control: this.#control,
      groups: this.#groups,
      wake: this.#wake,
      storeOf: (topic) => this.#storeOf(topic),
    })
    this.#consumers.add(consumer)
    return consumer
  }

  async lease({ name, topics, sessionTimeoutMs, signal }: LeaseOptions): Promise<Lease> {
    this.#checkOpen()
    const stores = topics.map((topic) => this.#storeOf(topic))
    const claim = {
      name,
      holder: randomUUID(),
      sessionTimeoutMs: sessionTimeoutMs ?? DEFAULT_LEASE_SESSION_TIMEOUT_MS,
    }
    const closing = this.#waiting.signal
    const taking = takeLease(
      claim,
      {
        control: this.#control,
        leases: this.#leases,
        wake: this.#wake,
        producerOf: (fence, onFenced) => this.#openProducer({}, { fence, topics, onFenced }),
        raiseFences: async (fence) => {
          for (const store of stores) await store.database.whenFree(() => store.raiseFence(fence))
        },
        onReleased: (lease) => this.#held.delete(lease),
      },
      signal === undefined ? closing : AbortSignal.any([closing, signal]),
    )
    this.#taking.add(taking)
    try {
      const lease = await taking
      this.#held.add(lease)
      return lease
    } finally {
      this.#taking.delete(taking)
    }
  }

  reader(options: ReaderOptions): Reader {
    this.#checkOpen()
    try {
      const onClosed = () => this.#readers.delete(reader)
      const reader: Reader = new EmbeddedReader(options, this.#storeOf(options.topic), this.#wake, onClosed)
      this.#readers.add(reader)
      return reader
    } catch (thrown) {
      return failedReader(thrown)
    }
  }

  async offsets(topic: string): Promise<PartitionRange[]> {
    this.#checkUsable()
    const store = this.#storeOf(topic)
    return store.database.whenFree(() => store.ranges())
  }

  async committed(group: string, topic: string): Promise<PartitionOffset[]> {
    this.#checkUsable()
    const { partitions } = this.#registry.get(topic)
    const committed = await this.#control.whenFree(() => this.#groups.committed(group, topic))
    return Array.from({ length: partitions }, (_, partition) => ({
      partition,
      offset: committed.get(partition) ?? -1,
    }))
  }

  async commit(group: string, topic: string, offsets: readonly PartitionOffset[]): Promise<void> {
    this.#checkUsable()
    this.#registry.get(topic)
    await this.#control.whenFree(() => this.#groups.commitDirectly(group, topic, offsets))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** First what takes in, then what writes, then the files. */
  async #close(): Promise<void> {
    this.#waiting.abort(closedError())
    await Promise.allSettled(this.#taking)
    const intake = [...this.#consumers, ...this.#readers]
    await Promise.all(intake.map((open) => open.close()))
    await Promise.all([...this.#held].map((lease) => lease.release()))
    this.#isClosed = true
    await Promise.all([...this.#producers].map((producer) => producer.close()))
    await Promise.all([...this.#queues.values()].map((queue) => queue.drain()))
    await this.#maintenance.stop()
    this.#wake.close()
    for (const store of this.#stores.values()) store.database.close()
    this.#control.close()
  }

  #openProducer(options: ProducerOptions, lease?: ProducerParts['lease']): Producer {
    const producer: Producer = new EmbeddedProducer({
      topicOf: (name) => this.#registry.get(name),
      queueOf: (topic) => this.#queueOf(topic),
      nowMs: this.#nowMs,
      options,
      lease,
      onClosed: () => this.#producers.delete(producer),
    })
    this.#producers.add(producer)
    return producer
  }

  #storeOf(name: string): TopicStore {
    let store = this.#stores.get(name)
    if (store === undefined) {
      const topic = this.#registry.get(name)
      store = new TopicStore(topic, this.#directory.topicFile(name), this.#databaseOptions)
      this.#stores.set(name, store)
    }
    return store
  }

  #queueOf(topic: StoredTopic): AppendQueue {
    let queue = this.#queues.get(topic.name)
    if (queue === undefined) {
      queue = new AppendQueue(this.#storeOf(topic.name), () => this.#wake.announce(topic.name))
      this.#queues.set(topic.name, queue)
    }
    return queue
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw closedError()
  }

  /** Batches in hand may still need it while the log closes. */
  #checkUsable(): void {
    if (this.#isClosed) throw closedError()
  }
}
