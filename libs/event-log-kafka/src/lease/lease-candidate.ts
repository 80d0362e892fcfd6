import { PlateauError } from '@plateau/contracts'
import type { Lease, LeaseOptions, Producer } from '@plateau/event-log'
import { Pulse } from '@plateau/event-log/adapter'
import type { KafkaConnection } from '../connection.js'
import { GroupMember } from '../consume/group-member.js'
import { KafkaCluster } from '../kafkajs/kafka-cluster.js'
import type { BatchSender } from '../produce/batch-sender.js'
import { HeldLease } from './held-lease.js'
import { leasesTopic } from './leases-topic.js'
import { newestLease } from './newest-lease.js'
import { TransactionalSender } from './transactional-sender.js'

const DEFAULT_SESSION_TIMEOUT_MS = 10_000

export interface CandidateParts {
  readonly holder: string
  readonly producerOver: (sender: BatchSender) => Producer
}

/**
 * Stands for a lease. Whose turn it is, is a matter of a consumer group: of the members that are alive one owns the only
 * partition, and keeps it while others come and go. Being the only writer is a matter of transactions: the one whose turn
 * it is takes over the transactional id, which ends its predecessor's right to append, then writes its epoch. The commit
 * of that record is the moment of taking the lease.
 *
 *   waiting ──owns the partition──▶ taking ──committed──▶ held (HeldLease) ──▶ left
 *      ▲                              │
 *      └────lost it before that───────┘
 */
export class LeaseCandidate {
  readonly #options: LeaseOptions
  readonly #connection: KafkaConnection
  readonly #parts: CandidateParts
  readonly #cluster: KafkaCluster
  readonly #member: GroupMember
  readonly #changed = new Pulse()
  #isTurn = false
  #failure: { readonly thrown: unknown } | undefined
  #lease: HeldLease | undefined

  constructor(
    options: LeaseOptions,
    connection: KafkaConnection,
    parts: CandidateParts,
    cluster = new KafkaCluster(connection.config),
  ) {
    this.#options = options
    this.#connection = connection
    this.#parts = parts
    this.#cluster = cluster
    const membership = {
      group: `plateau.lease.${options.name}`,
      topics: [leasesTopic.name],
      sessionTimeoutMs: options.sessionTimeoutMs ?? DEFAULT_SESSION_TIMEOUT_MS,
    }
    this.#member = new GroupMember(membership, this.#cluster, connection, {
      onAssigned: () => this.#turn(true),
      onRevoked: async () => this.#turn(false),
      onLost: () => this.#turn(false),
      onAlive: () => {},
    })
  }

  async wait(): Promise<Lease> {
    const { signal } = this.#options
    const stir = () => this.#changed.fire()
    signal?.addEventListener('abort', stir)
    this.#member.run().catch((thrown: unknown) => {
      this.#failure = { thrown }
      this.#changed.fire()
    })
    try {
      for (;;) {
        const changed = this.#changed.next()
        signal?.throwIfAborted()
        if (this.#failure !== undefined) throw this.#failure.thrown
        const lease = this.#isTurn ? await this.#take() : undefined
        if (lease === undefined) await changed
        else if (signal?.aborted !== true) return lease
      }
    } catch (thrown) {
      await this.#lease?.release()
      await this.#leave()
      throw signal?.aborted === true ? signal.reason : thrown
    } finally {
      signal?.removeEventListener('abort', stir)
    }
  }

  /** Undefined when somebody else came first. */
  async #take(): Promise<Lease | undefined> {
    const { name, signal } = this.#options
    const lost = new AbortController()
    const sender = new TransactionalSender(`plateau.lease.${name}`, this.#cluster, this.#connection, (reason) =>
      lost.abort(reason),
    )
    const stop = () => sender.close()
    signal?.addEventListener('abort', stop)
    try {
      await sender.begin()
      const epoch = ((await newestLease(this.#connection, name, signal))?.epoch ?? 0) + 1
      await sender.send({ topic: leasesTopic.name, partition: 0, records: [this.#record(epoch)] })
      if (!this.#isTurn) throw sender.lose(undefined)
      const producer = this.#parts.producerOver(sender)
      this.#lease = new HeldLease(name, epoch, { producer, sender, lost: lost.signal, leave: () => this.#leave() })
      return this.#lease
    } catch (thrown) {
      sender.close()
      if (!(thrown instanceof PlateauError && thrown.code === 'WRITER_FENCED')) throw thrown
      // Still this one's turn: someone was slow to notice that it is not theirs any more, and gets no further either.
      this.#changed.fire()
      return undefined
    } finally {
      signal?.removeEventListener('abort', stop)
    }
  }

  #record(epoch: number) {
    const { name } = this.#options
    const nowMs = this.#connection.settings.nowMs()
    const taken = { epoch, holder: this.#parts.holder, takenAt: new Date(nowMs).toISOString() }
    return {
      key: Buffer.from(name),
      value: leasesTopic.codec.encode(taken).finish(),
      headers: {},
      timestampMs: nowMs,
    }
  }

  #turn(isTurn: boolean): void {
    this.#isTurn = isTurn
    if (!isTurn) this.#lease?.lose()
    this.#changed.fire()
  }

  async #leave(): Promise<void> {
    await this.#member.leave()
    this.#cluster.close()
  }
}
