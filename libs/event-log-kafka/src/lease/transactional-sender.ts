import { setTimeout as sleep } from 'node:timers/promises'
import { PlateauError } from '@plateau/contracts'
import { closedError } from '@plateau/event-log/adapter'
import type { KafkaConnection } from '../connection.js'
import { type Attempt } from '../kafka-errors.js'
import { Coordinator } from '../kafkajs/coordinator.js'
import type { KafkaCluster } from '../kafkajs/kafka-cluster.js'
import { isOfType } from '../kafkajs/protocol-errors.js'
import type { ProducerIdentity } from '../kafkajs/requests.js'
import { pauseMs } from '../persist.js'
import type { BatchSender, PartitionBatch } from '../produce/batch-sender.js'
import { ProduceLink } from '../produce/produce-link.js'
import { encodeBatch, stamp } from '../produce/record-batch.js'

/** A transaction outlives every try to send its batch, or a broker that comes back late would have given it up. */
const TRANSACTION_MARGIN_MS = 60_000
const MAX_TRANSACTION_MS = 900_000
/** The end of one transaction is still being written when the next one begins: a matter of a few milliseconds. */
const CONCURRENT_PAUSE_MS = 5
const SEQUENCES = 2 ** 31
/** Brokers do not learn all at once of a topic that was just made, or of all topics when they have just started. */
const UNKNOWN_TOPIC_PATIENCE_MS = 5000

/**
 * Writes each batch as a transaction of its own, one after the other, under a transactional id. Whoever begins to use the
 * id ends everybody's right before: the broker refuses their appends from then on, and gives up what they had under
 * way. Never asks for the right again after the beginning, so one that was taken over can never take back.
 *
 * kafkajs's own transactions are not used: after a failed send it numbers the next batch as if nothing had been
 * written (D2 in its list of defects), and a commit that got no answer leaves it stuck. Here the same bytes are sent,
 * and the same commit is asked for, until the broker answers for them.
 */
export class TransactionalSender implements BatchSender {
  readonly #connection: KafkaConnection
  readonly #transactionalId: string
  readonly #coordinator: Coordinator
  readonly #link: ProduceLink
  readonly #onLost: (reason: PlateauError) => void
  readonly #sequences = new Map<string, number>()
  #identity: ProducerIdentity = { producerId: '-1', producerEpoch: -1 }
  #last: Promise<unknown> = Promise.resolve()
  #lost: PlateauError | undefined
  #giveUpAtMs = Number.POSITIVE_INFINITY
  #isClosed = false

  /** `onLost` is called once, when no append can succeed any more. */
  constructor(
    transactionalId: string,
    cluster: KafkaCluster,
    connection: KafkaConnection,
    onLost: (reason: PlateauError) => void,
  ) {
    this.#transactionalId = transactionalId
    this.#connection = connection
    this.#coordinator = new Coordinator(transactionalId, 'transaction', cluster)
    this.#link = new ProduceLink(cluster, {
      transactionalId,
      ackTimeoutMs: connection.settings.timing.requestTimeoutMs,
    })
    this.#onLost = onLost
  }

  /** Ends every earlier sender of this transactional id. Once, before the first send. */
  async begin(): Promise<void> {
    const { deliveryTimeoutMs } = this.#connection.settings.timing
    this.#identity = await this.#until({ doing: `take over the writing of ${this.#transactionalId}` }, () =>
      this.#coordinator.send('InitProducerId', {
        transactionalId: this.#transactionalId,
        transactionTimeout: Math.min(MAX_TRANSACTION_MS, deliveryTimeoutMs + TRANSACTION_MARGIN_MS),
      }),
    )
  }

  send(batch: PartitionBatch): Promise<number> {
    const sent = this.#last.then(() => this.#transact(batch))
    this.#last = sent.catch(() => {})
    return sent
  }

  /** Nothing is sent any more; what is under way may still arrive. The reason for whoever sends: WRITER_FENCED. */
  lose(cause: unknown): PlateauError {
    if (this.#lost === undefined) {
      this.#lost = fencedError(this.#transactionalId, cause)
      this.#onLost(this.#lost)
    }
    return this.#lost
  }

  /** From now on nothing is waited for beyond `patienceMs`. */
  hurry(patienceMs: number): void {
    this.#giveUpAtMs = Math.min(this.#giveUpAtMs, performance.now() + patienceMs)
  }

  close(): void {
    this.#isClosed = true
    this.#link.close()
    this.#coordinator.close()
  }

  async #transact(batch: PartitionBatch): Promise<number> {
    this.#checkUsable()
    const { topic, partition, records } = batch
    const key = `${topic}/${partition}`
    const sequence = this.#sequences.get(key) ?? 0
    const bytes = await encodeBatch(records, { ...this.#connection.settings, isTransactional: true })
    const { producerId, producerEpoch } = this.#identity
    stamp(bytes, { producerId: BigInt(producerId), producerEpoch, sequence })
    const attempt = { doing: 'append to', topic, partition, needs: 'Write' } as const
    await this.#until(attempt, () => this.#enlist(topic, partition))
    try {
      const offset = await this.#until(attempt, () => this.#link.append({ topic, partition, bytes }))
      this.#sequences.set(key, (sequence + records.length) % SEQUENCES)
      await this.#until(attempt, () => this.#end(true))
      await this.#untilVisible(attempt)
      return offset
    } catch (thrown) {
      // Refused, so certainly not written: only this transaction is over. When nobody knows, `#until` has ended it all.
      if (this.#lost === undefined) await this.#until({ doing: 'give up a transaction' }, () => this.#end(false))
      throw thrown
    }
  }

  /**
   * The coordinator answers when it has decided; then it writes the marks without which no reader gets beyond the
   * records. Asked again it says that it is busy, until that is done. Whatever comes instead, the records are there.
   */
  async #untilVisible(attempt: Attempt): Promise<void> {
    await this.#until(attempt, () => this.#end(true)).catch(() => {})
  }

  #enlist(topic: string, partition: number): Promise<unknown> {
    return this.#coordinator.send('AddPartitionsToTxn', {
      ...this.#identity,
      transactionalId: this.#transactionalId,
      topics: [{ topic, partitions: [partition] }],
    })
  }

  #end(isCommit: boolean): Promise<unknown> {
    return this.#coordinator.send('EndTxn', {
      ...this.#identity,
      transactionalId: this.#transactionalId,
      transactionResult: isCommit,
    })
  }

  /** Until it is answered, or refused. Without an answer in time nothing can be numbered any more: the sender is lost. */
  async #until<T>(attempt: Attempt, action: () => Promise<T>): Promise<T> {
    const { timing } = this.#connection.settings
    const startedAtMs = performance.now()
    for (let tries = 0; ; tries++) {
      this.#checkUsable()
      try {
        return await action()
      } catch (thrown) {
        this.#checkUsable()
        if (isFenced(thrown)) throw this.lose(thrown)
        const error = this.#connection.error(thrown, attempt)
        const isBusy = isOfType(thrown, 'CONCURRENT_TRANSACTIONS')
        const isNews = error.code === 'UNKNOWN_TOPIC' && performance.now() - startedAtMs < UNKNOWN_TOPIC_PATIENCE_MS
        if (!isBusy && !isNews && !error.retryable) throw error
        if (performance.now() > Math.min(startedAtMs + timing.deliveryTimeoutMs, this.#giveUpAtMs)) {
          this.lose(error)
          throw error
        }
        await sleep(isBusy ? CONCURRENT_PAUSE_MS : pauseMs(tries, timing))
      }
    }
  }

  #checkUsable(): void {
    if (this.#isClosed) throw closedError()
    if (this.#lost !== undefined) throw this.#lost
  }
}

/** Of an earlier epoch, or in a transaction that the broker has given up, or out of step with what it has. */
function isFenced(thrown: unknown): boolean {
  return isOfType(
    thrown,
    'INVALID_PRODUCER_EPOCH',
    'PRODUCER_FENCED',
    'INVALID_TXN_STATE',
    'INVALID_PRODUCER_ID_MAPPING',
    'OUT_OF_ORDER_SEQUENCE_NUMBER',
    'DUPLICATE_SEQUENCE_NUMBER',
    'UNKNOWN_PRODUCER_ID',
  )
}

function fencedError(transactionalId: string, cause: unknown): PlateauError {
  return new PlateauError(
    'WRITER_FENCED',
    `This process no longer writes as ${transactionalId}: another one has taken over, or may have.`,
    { facts: { transactionalId }, cause },
  )
}
