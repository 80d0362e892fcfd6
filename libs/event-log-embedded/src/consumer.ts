import { PlateauError } from '@plateau/contracts'
import type { Batch, BatchControl, Consumer, ConsumerOptions } from '@plateau/event-log'
import { closedError } from '@plateau/event-log/adapter'
import type { Database } from './database.js'
import type { GroupStore, GroupView, Membership, OwnedPartition } from './group-store.js'
import { PartitionLane } from './partition-lane.js'
import type { TopicStore } from './topic-store.js'
import type { WakeBoard } from './wake-board.js'

const DEFAULT_SESSION_TIMEOUT_MS = 10_000
const DEFAULT_BATCH_RECORDS = 256
const MAX_BATCH_BYTES = 4 * 1024 * 1024
const SLOWEST_HEARTBEAT_MS = 1000
/** How soon a member notices that another's process is dead. Reads /proc, touches no database. */
const PEER_CHECK_MS = 250
export const GROUPS_WAKE = 'groups'

type Handler = (batch: Batch, control: BatchControl) => Promise<void>

export interface ConsumerParts {
  readonly control: Database
  readonly groups: GroupStore
  readonly wake: WakeBoard
  readonly storeOf: (topic: string) => TopicStore
}

/**
 * A member of a group: keeps its membership alive and runs one lane for each partition that it owns.
 *
 *   idle ──run──▶ running ──close, or the handler throws──▶ closing (lanes finish, then it leaves) ──▶ closed
 */
export class EmbeddedConsumer implements Consumer {
  readonly #options: ConsumerOptions
  readonly #parts: ConsumerParts
  readonly #sessionTimeoutMs: number
  readonly #lanes = new Map<string, PartitionLane>()
  readonly #closed = Promise.withResolvers<void>()
  #state: 'idle' | 'running' | 'closing' | 'closed' = 'idle'
  #handler: Handler = async () => {}
  #me: Membership = { group: '', memberId: '' }
  #peers: GroupView['peers'] = []
  #isPaused = false
  #failure: { readonly thrown: unknown } | undefined
  #heartbeatTimer: NodeJS.Timeout | undefined
  #peerTimer: NodeJS.Timeout | undefined
  #unsubscribe: (() => void)[] = []
  #joined: Promise<void> | undefined
  #settling: Promise<void> | undefined

  constructor(options: ConsumerOptions, parts: ConsumerParts) {
    this.#options = options
    this.#parts = parts
    this.#sessionTimeoutMs = options.sessionTimeoutMs ?? DEFAULT_SESSION_TIMEOUT_MS
  }

  get assigned(): Consumer['assigned'] {
    const active = [...this.#lanes.values()].filter((lane) => lane.isActive)
    return active.map(({ owned: { topic, partition } }) => ({ topic, partition }))
  }

  async run(handler: Handler): Promise<void> {
    if (this.#state !== 'idle') throw closedError()
    const stores = this.#options.topics.map((topic) => this.#parts.storeOf(topic))
    this.#state = 'running'
    this.#handler = handler
    try {
      this.#joined = this.#join()
      await this.#joined
      if (this.#state === 'running') this.#listen(stores)
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

  async #join(): Promise<void> {
    const { group, topics } = this.#options
    const joined = await this.#parts.control.whenFree(() =>
      this.#parts.groups.join(group, topics, this.#sessionTimeoutMs),
    )
    this.#options.onAlive?.()
    this.#me = { group: joined.group, memberId: joined.memberId }
    this.#apply(joined)
  }

  #listen(stores: readonly TopicStore[]): void {
    const { wake, groups } = this.#parts
    for (const { topic, database } of stores) {
      const stirAll = () => {
        for (const lane of this.#lanes.values()) if (lane.owned.topic === topic.name) lane.stir()
      }
      this.#unsubscribe.push(wake.subscribe(topic.name, () => database.changedElsewhere(), stirAll))
    }
    // Every commit and heartbeat changes that database: only an announcement is worth a look, the timer does the rest.
    this.#unsubscribe.push(
      wake.subscribe(
        GROUPS_WAKE,
        () => false,
        () => this.#heartbeat(),
      ),
    )
    const heartbeatMs = Math.min(SLOWEST_HEARTBEAT_MS, this.#sessionTimeoutMs / 5)
    this.#heartbeatTimer = setInterval(() => this.#heartbeat(), heartbeatMs)
    this.#peerTimer = setInterval(() => {
      if (groups.isPeerDead(this.#peers)) this.#heartbeat()
    }, PEER_CHECK_MS)
  }

  #heartbeat(): void {
    this.#settling ??= this.#settle().finally(() => (this.#settling = undefined))
  }

  async #settle(): Promise<void> {
    if (this.#state === 'closed') return
    try {
      const view = await this.#parts.control.whenFree(() => this.#parts.groups.heartbeat(this.#me))
      this.#options.onAlive?.()
      if (view.isMember || this.#state !== 'running') return this.#apply(view)
      // Silent for too long, so given up: what it had is someone else's by now. Start again as a new member.
      for (const lane of this.#lanes.values()) lane.lose()
      await this.#join()
    } catch (thrown) {
      this.#failUnlessRetryable(thrown)
    }
  }

  /** Starts, stops and drops lanes until they are what the group says. */
  #apply(view: GroupView): void {
    this.#peers = view.peers
    if (view.changed) this.#parts.wake.announce(GROUPS_WAKE)
    const owned = new Map(view.owned.map((partition) => [keyOf(partition), partition]))
    for (const [key, lane] of this.#lanes) {
      const now = owned.get(key)
      if (now?.epoch !== lane.owned.epoch) lane.lose()
      else if (now.leaving) lane.stop()
    }
    if (this.#state !== 'running') return
    // A lane that is still finishing keeps its place: one batch at a time per partition, across a loss, too.
    for (const [key, partition] of owned) {
      if (!this.#lanes.has(key) && !partition.leaving) this.#startLane(key, partition)
      else if (!this.#lanes.has(key)) void this.#release(partition)
    }
  }

  #startLane(key: string, owned: OwnedPartition): void {
    const store = this.#parts.storeOf(owned.topic)
    const maxRecords = this.#options.maxBatchRecords ?? DEFAULT_BATCH_RECORDS
    const lane = new PartitionLane(owned, {
      group: this.#options.group,
      start: () => this.#startOffset(store, owned.partition),
      fetch: (fromOffset) =>
        store.database.whenFree(() => store.fetch(owned.partition, fromOffset, maxRecords, MAX_BATCH_BYTES)),
      commit: (nextOffset) =>
        this.#parts.control.whenFree(() => this.#parts.groups.commit(this.#me, owned, nextOffset)),
      handler: (batch, control) => this.#handOver(batch, control),
      isPaused: () => this.#isPaused,
    })
    this.#lanes.set(key, lane)
    void this.#watchLane(key, lane)
  }

  async #handOver(batch: Batch, control: BatchControl): Promise<void> {
    this.#options.onAlive?.()
    await this.#handler(batch, control)
    this.#options.onAlive?.()
  }

  async #watchLane(key: string, lane: PartitionLane): Promise<void> {
    try {
      await lane.done
    } catch (thrown) {
      this.#fail(thrown)
    }
    this.#lanes.delete(key)
    if (this.#state === 'running') await this.#release(lane.owned)
  }

  /** Hands a partition on at once; does nothing to one that is already lost. */
  async #release(owned: OwnedPartition): Promise<void> {
    try {
      this.#apply(await this.#parts.control.whenFree(() => this.#parts.groups.release(this.#me, owned)))
    } catch (thrown) {
      this.#failUnlessRetryable(thrown)
    }
  }

  async #startOffset(store: TopicStore, partition: number): Promise<number> {
    const { group, from } = this.#options
    const committed = await this.#parts.control.whenFree(() => this.#parts.groups.committed(group, store.topic.name))
    const offset = committed.get(partition)
    const next = await store.database.whenFree(() => store.next(partition))
    if (offset === undefined) return from === 'latest' ? next : 0
    // Beyond the end: the topic's file was lost and begun again. Rather twice than never.
    return offset > next ? 0 : offset
  }

  /** A full disk or a long lock: the next heartbeat tries again, and brings everything in order. */
  #failUnlessRetryable(thrown: unknown): void {
    if (!(thrown instanceof PlateauError && thrown.retryable)) this.#fail(thrown)
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
    clearInterval(this.#heartbeatTimer)
    clearInterval(this.#peerTimer)
    await this.#joined?.catch(() => {})
    await this.#settling
    if (this.#me.memberId === '') return
    const view = await this.#parts.control.whenFree(() => this.#parts.groups.leave(this.#me))
    if (view.changed) this.#parts.wake.announce(GROUPS_WAKE)
    for (const lane of lanes) lane.lose()
  }

  #finish(): void {
    this.#state = 'closed'
    clearInterval(this.#heartbeatTimer)
    clearInterval(this.#peerTimer)
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
    this.#unsubscribe = []
    this.#closed.resolve()
  }
}

function keyOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}/${partition}`
}
