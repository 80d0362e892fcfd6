import { setTimeout as sleep } from 'node:timers/promises'
import { PlateauError } from '@plateau/contracts'
import { closedError } from '@plateau/event-log/adapter'
import type { KafkaConnection } from '../connection.js'
import { KafkaCluster } from '../kafkajs/kafka-cluster.js'
import { isOfType } from '../kafkajs/protocol-errors.js'
import { pauseMs } from '../persist.js'
import type { BatchSender, PartitionBatch } from './batch-sender.js'
import { ProduceLink } from './produce-link.js'
import { encodeBatch, type Stamp, stamp } from './record-batch.js'

/** Nothing is transactional here, yet the request asks for it. */
const UNUSED_TRANSACTION_TIMEOUT_MS = 60_000
const SEQUENCES = 2 ** 31
/** A topic that was just made, or just deleted: the brokers do not learn of it all at once. */
const UNKNOWN_TOPIC_PATIENCE_MS = 5000
/** How long a batch may still take once the log is being closed. */
const CLOSING_PATIENCE_MS = 10_000

type Writer = Pick<Stamp, 'producerId' | 'producerEpoch'>

/** Who writes to a partition, and how many records it has written there. */
interface PartitionState {
  writer: Writer | undefined
  sequence: number
  /** The writer that all partitions begin with has numbered something here, perhaps: it may not begin here again. */
  isFirstSpent: boolean
}

/**
 * Kafka's idempotent producer, with the rule that kafkajs's breaks: **a sequence number belongs to one batch for ever**.
 * A broker drops what it has already by the writer's id and this number. So a batch is stamped once and the same bytes
 * are sent until the broker has answered for them, across time-outs, new connections and new leaders. Only then does the
 * next batch of that partition get its number.
 *
 * When that cannot go on (the broker has lost track of the writer, or `deliveryTimeoutMs` is over with nobody
 * knowing whether the batch was written), the partition goes on as a new writer. What was in hand is then sent again as the
 * new writer's first batch, or handed back as LOG_UNAVAILABLE; either way it may be in the log twice if the caller sends
 * it again, and consumers tell by `ce_id`.
 */
export class IdempotentSender implements BatchSender {
  readonly #connection: KafkaConnection
  readonly #cluster: KafkaCluster
  readonly #link: ProduceLink
  readonly #partitions = new Map<string, PartitionState>()
  #firstWriter: Promise<Writer> | undefined
  #closesAtMs = Number.POSITIVE_INFINITY
  #isClosed = false

  /** Its own connections: a batch must not wait behind questions, nor they behind batches. */
  constructor(connection: KafkaConnection, cluster = new KafkaCluster(connection.config)) {
    this.#connection = connection
    this.#cluster = cluster
    this.#link = new ProduceLink(this.#cluster, { ackTimeoutMs: connection.settings.timing.requestTimeoutMs })
  }

  async send(batch: PartitionBatch): Promise<number> {
    const state = this.#stateOf(batch)
    const bytes = await encodeBatch(batch.records, this.#connection.settings)
    try {
      const offset = await this.#untilAcknowledged(batch, bytes, state)
      state.sequence = (state.sequence + batch.records.length) % SEQUENCES
      return offset
    } catch (thrown) {
      // Nobody knows whether the batch was written, and so whether its numbers are taken.
      state.writer = undefined
      throw thrown
    }
  }

  /** From now on nothing is waited for much longer. */
  hurry(): void {
    this.#closesAtMs = Math.min(this.#closesAtMs, performance.now() + CLOSING_PATIENCE_MS)
  }

  close(): void {
    this.#isClosed = true
    this.#link.close()
    this.#cluster.close()
  }

  async #untilAcknowledged(batch: PartitionBatch, bytes: Buffer, state: PartitionState): Promise<number> {
    const { timing } = this.#connection.settings
    const startedMs = performance.now()
    for (let attempt = 0; ; attempt++) {
      try {
        const writer = (state.writer ??= await this.#newWriter(state))
        stamp(bytes, { ...writer, sequence: state.sequence })
        return await this.#link.append({ topic: batch.topic, partition: batch.partition, bytes })
      } catch (thrown) {
        if (this.#isClosed) throw closedError()
        this.#giveUpOn(thrown, batch, performance.now() - startedMs)
        if (isLostTrack(thrown)) state.writer = undefined
        this.#note(batch, thrown, attempt)
      }
      await sleep(pauseMs(attempt, timing))
    }
  }

  /** Throws when sending the batch again cannot help, or has been tried for long enough. */
  #giveUpOn(thrown: unknown, { topic, partition, records }: PartitionBatch, afterMs: number): void {
    const error = this.#connection.error(thrown, { doing: 'append to', topic, partition, needs: 'Write' })
    const { deliveryTimeoutMs } = this.#connection.settings.timing
    if (error.code === 'UNKNOWN_TOPIC') {
      if (afterMs < UNKNOWN_TOPIC_PATIENCE_MS) return
      this.#connection.topics.forget(topic)
      throw error
    }
    if (error.code === 'RECORD_TOO_LARGE') this.#connection.topics.forget(topic)
    if (!error.retryable && !isLostTrack(thrown)) throw error
    if (afterMs < deliveryTimeoutMs && performance.now() < this.#closesAtMs) return
    throw new PlateauError(
      'LOG_UNAVAILABLE',
      `Kafka has not acknowledged ${records.length} records for ${topic}/${partition} within ${Math.round(afterMs)} ms; ` +
        `they may be in the log. Last: ${error.message}`,
      {
        facts: { ...error.facts, records: records.length, afterMs: Math.round(afterMs) },
        retryable: true,
        cause: thrown,
      },
    )
  }

  /** One writer for all partitions, until one of them needs another. */
  async #newWriter(state: PartitionState): Promise<Writer> {
    state.sequence = 0
    if (state.isFirstSpent) return this.#askForWriter()
    state.isFirstSpent = true
    this.#firstWriter ??= this.#askForWriter()
    const first = this.#firstWriter
    first.catch(() => {
      if (this.#firstWriter === first) this.#firstWriter = undefined
    })
    return first
  }

  async #askForWriter(): Promise<Writer> {
    const { producerId, producerEpoch } = await this.#cluster.askAny('InitProducerId', {
      transactionalId: undefined,
      transactionTimeout: UNUSED_TRANSACTION_TIMEOUT_MS,
    })
    return { producerId: BigInt(producerId), producerEpoch }
  }

  #stateOf({ topic, partition }: PartitionBatch): PartitionState {
    const key = `${topic}/${partition}`
    let state = this.#partitions.get(key)
    if (state === undefined) {
      state = { writer: undefined, sequence: 0, isFirstSpent: false }
      this.#partitions.set(key, state)
    }
    return state
  }

  #note({ topic, partition }: PartitionBatch, thrown: unknown, attempt: number): void {
    const reason = this.#connection.error(thrown, { doing: 'append to', topic, partition }).message
    this.#connection.settings.onLog({
      level: isLostTrack(thrown) ? 'warn' : 'debug',
      message: isLostTrack(thrown)
        ? 'a batch goes out under a new writer, and may be there twice'
        : 'a batch is sent again',
      fields: { topic, partition, attempt, reason },
    })
  }
}

/** The broker does not know, or no longer takes, what this writer numbers. */
function isLostTrack(thrown: unknown): boolean {
  return isOfType(
    thrown,
    'OUT_OF_ORDER_SEQUENCE_NUMBER',
    'DUPLICATE_SEQUENCE_NUMBER',
    'UNKNOWN_PRODUCER_ID',
    'INVALID_PRODUCER_EPOCH',
    'PRODUCER_FENCED',
  )
}
