import type { Headers, TopicSpec } from '@plateau/contracts'

/**
 * The event log: ordered, partitioned, durable topics that several processes share. Adapters: event-log-embedded (files
 * of one machine), event-log-kafka. What every adapter promises is written as tests in contract-suite.ts.
 *
 * Delivery is at least once. Order holds per partition, and so per key. A record's offset is an integer that grows by
 * at least one; compaction and retention leave gaps.
 */
export interface EventLog {
  /** Topics that the log needs for itself, for an operator who creates and checks them with the others. */
  readonly ownTopics: readonly TopicSpec[]
  /**
   * Creates what is missing. Throws TOPIC_MISMATCH, naming every setting, when a topic exists that cannot do what its
   * declaration says (`incompatible` below). Idempotent; what an operator may tune is left as it is.
   */
  ensureTopics(specs: readonly TopicSpec[]): Promise<void>
  /** How the log's topics differ from their declarations. Changes nothing. */
  compareTopics(specs: readonly TopicSpec[]): Promise<TopicDifference[]>
  /** Creates what is missing and sets what may change; returns the differences that there were. */
  applyTopics(specs: readonly TopicSpec[]): Promise<TopicDifference[]>
  producer(options?: ProducerOptions): Producer
  /** A member of a consumer group: the group's members share the partitions. */
  consumer(options: ConsumerOptions): Consumer
  /** Reads whole topics from explicit offsets, outside any group: tables, and consumers that keep offsets themselves. */
  reader(options: ReaderOptions): Reader
  /** For every partition: the first offset still held and the offset after the last record. */
  offsets(topic: string): Promise<PartitionRange[]>
  /** Offsets the group would continue from; -1 where it never committed. */
  committed(group: string, topic: string): Promise<PartitionOffset[]>
  /** Records where a consumer that keeps its own offsets stands, so that its lag can be seen. */
  commit(group: string, topic: string, offsets: readonly PartitionOffset[]): Promise<void>
  /**
   * Waits until this process is the only writer of `name`, and resolves with what it may write through. At once when
   * nobody is; otherwise when the holder lets go, or has not been heard of for its session timeout. Rejects with the
   * signal's reason when `signal` aborts the wait.
   */
  lease(options: LeaseOptions): Promise<Lease>
  /** Closes everything that was opened through this object. Idempotent. */
  close(): Promise<void>
}

/**
 * `missing`: the topic is not there. `incompatible`: a service would lose, split or misread records; only a person can
 * mend it. `tunable`: works, but is not what was declared; `applyTopics` sets it.
 */
export interface TopicDifference {
  readonly topic: string
  /** The setting as the log calls it, for example "partitions" or "cleanup.policy"; "topic" for a missing one. */
  readonly setting: string
  readonly declared: string
  /** Undefined for a missing topic. */
  readonly actual: string | undefined
  readonly kind: 'missing' | 'incompatible' | 'tunable'
}

export interface LeaseOptions {
  /** What is written by one process at a time, for example "lineage.default". */
  readonly name: string
  /** Topics that only the holder appends to, through `Lease.producer`. */
  readonly topics: readonly string[]
  /** A holder that has not been heard of for this long loses the lease. Default 10 000. */
  readonly sessionTimeoutMs?: number
  readonly signal?: AbortSignal
}

/**
 * The right to be the only writer. Being told that it is lost can come late, after a stop of the whole process for
 * example; so the right is enforced where it counts: once another process holds the lease, no append through this
 * producer is ever taken.
 */
export interface Lease {
  /** Grows with every new holder of the name, for as long as the log lives. For fencing what is not in the log. */
  readonly epoch: number
  /** Aborted when another process may hold it by now. */
  readonly lost: AbortSignal
  /** Appends to the lease's topics (to others: TOPIC_NOT_LEASED); throws WRITER_FENCED once another process holds it. */
  readonly producer: Producer
  /** Closes the producer and lets the next one have it. Idempotent. */
  release(): Promise<void>
}

export interface NewRecord {
  /** Chooses the partition (Kafka's murmur2 partitioner) and, on compacted topics, what it replaces. */
  readonly key: string
  /** Null on a compacted topic removes the key. */
  readonly value: Uint8Array | null
  readonly headers: Headers
  readonly timestampMs?: number
}

export interface LogRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: string
  readonly value: Uint8Array | null
  readonly headers: Headers
  readonly timestampMs: number
}

export interface PartitionOffset {
  readonly partition: number
  /** The next offset to read. */
  readonly offset: number
}

export interface PartitionRange {
  readonly partition: number
  readonly earliest: number
  /** One past the last record. */
  readonly next: number
}

export interface ProducerOptions {
  /** Bytes accepted but not yet durable, at most. Default 8 MiB. */
  readonly maxBytesInFlight?: number
  /**
   * What `send` does above that bound: `wait` for room, in order (backpressure), or `shed`: throw PRODUCER_FULL at once,
   * with nothing accepted. Default wait.
   */
  readonly whenFull?: 'wait' | 'shed'
}

export interface Producer {
  /**
   * Resolves when all records are durable, with the partition and offset of each, in order. Records of one partition
   * keep the order of the calls. Throws RECORD_TOO_LARGE, UNKNOWN_TOPIC; PRODUCER_FULL, or LOG_UNAVAILABLE, when trying
   * again may help. After LOG_UNAVAILABLE some of the records may be there: sent again, they can be there twice.
   */
  send(topic: string, records: readonly NewRecord[]): Promise<AppendedRecord[]>
  /** Bytes accepted and not yet durable. */
  readonly bytesInFlight: number
  flush(): Promise<void>
  close(): Promise<void>
}

export interface AppendedRecord {
  readonly partition: number
  readonly offset: number
}

export interface ConsumerOptions {
  readonly group: string
  readonly topics: readonly string[]
  /** Where a group that never committed starts. Default earliest. */
  readonly from?: 'earliest' | 'latest'
  /** Records handed over at once. Default 256. */
  readonly maxBatchRecords?: number
  /** A member that has not been heard of for this long loses its partitions. Default 10 000. */
  readonly sessionTimeoutMs?: number
  /**
   * Told whenever the member is seen to work: the log answered it, or a batch was handed over or finished. At least every
   * few seconds, idle or busy; silence means that it is stuck.
   */
  readonly onAlive?: () => void
}

export interface Batch {
  readonly topic: string
  readonly partition: number
  /** At least one, in offset order. */
  readonly records: readonly LogRecord[]
  /** Offset after the partition's last record when the batch was read: lag = highWatermark - next offset. */
  readonly highWatermark: number
}

export interface BatchControl {
  /** Aborted when the partition is taken away: stop, and do not commit. One object for as long as it is the member's. */
  readonly signal: AbortSignal
  /**
   * Says that everything before `nextOffset` has had its durable effect. Throws PARTITION_LOST when another member owns
   * the partition by now.
   */
  commit(nextOffset: number): Promise<void>
}

export interface Consumer {
  /**
   * Hands batches over, one at a time per partition, until `close`. Nothing is committed on its own. Resolves after
   * close; rejects with what the handler threw (the batch is then redelivered to whoever owns the partition next), or when
   * the log has been unreachable for so long that a restart is the better try (LOG_UNAVAILABLE).
   * A handler that ends with PARTITION_LOST, or an AbortError, after its partition was taken away ends only that batch.
   */
  run(handler: (batch: Batch, control: BatchControl) => Promise<void>): Promise<void>
  /** Backpressure: no new batches until `resume`. Membership is kept. */
  pause(): void
  resume(): void
  readonly assigned: readonly { readonly topic: string; readonly partition: number }[]
  /** Finishes the batch in hand, leaves the group. Idempotent. */
  close(): Promise<void>
}

export interface ReaderOptions {
  readonly topic: string
  /** Per partition; partitions not named start at 'earliest'. An offset below what is still held starts at the earliest. */
  readonly from: 'earliest' | 'latest' | readonly PartitionOffset[]
  readonly maxBatchRecords?: number
}

export interface Reader extends AsyncIterable<Batch> {
  /** Resolves when everything that was in the topic at the time of the call to `reader` has been handed over. */
  readonly caughtUp: Promise<void>
  /** Ends the iteration after the batch in hand. Idempotent. */
  close(): Promise<void>
}
