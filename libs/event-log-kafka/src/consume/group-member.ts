import { PlateauError } from '@plateau/contracts'
import { closedError, Pulse } from '@plateau/event-log/adapter'
import type { KafkaConnection } from '../connection.js'
import { Coordinator } from '../kafkajs/coordinator.js'
import type { KafkaCluster } from '../kafkajs/kafka-cluster.js'
import { isCoordinatorTrouble, isExpulsion, isOfType, requiredMemberId } from '../kafkajs/protocol-errors.js'
import type { JoinAnswer, Requests } from '../kafkajs/requests.js'
import { keyOf, type TopicPartition } from './assign-sticky.js'
import { assignGroup, decodeAssignment, encodeClaims, PROTOCOL_NAME, topicsOf } from './group-protocol.js'
import { isFinal } from './patience.js'

const SLOWEST_HEARTBEAT_MS = 500
/** Leaving is a courtesy to the others: without it they wait for the session timeout. */
const LEAVE_TIMEOUT_MS = 1000
/** An answer that trying again should not change gets a few more tries: another member may be on its way out. */
const MAX_REFUSALS = 5
const MAX_STALE_TRIES = 10

export interface MemberOptions {
  readonly group: string
  readonly topics: readonly string[]
  readonly sessionTimeoutMs: number
  /** Without a word from the coordinator for this long, `run` rejects with LOG_UNAVAILABLE. Default `consumePatienceMs`. */
  readonly maxUnavailableMs?: number
}

export interface MemberEvents {
  readonly onAssigned: (partition: TopicPartition) => void
  /** Give it up: resolves when nothing of it is in hand any more. */
  readonly onRevoked: (partition: TopicPartition) => Promise<void>
  /** Someone else may have it by now. */
  readonly onLost: (partition: TopicPartition) => void
  /** The coordinator answered. */
  readonly onAlive: () => void
}

/**
 * A member of a consumer group (Kafka's classic protocol), from joining to leaving. Heartbeats have a timer and a
 * connection of their own: no handler and no waiting join can hold them up. A rebalance stops nothing: what the member
 * holds it keeps working on and claims again; what it does not get back it gives up, and then joins once more without.
 *
 *   joining ──assigned──▶ stable ──the group rebalances, or something was given up──▶ joining
 *      ▲                     │
 *      └──────unknown to the coordinator, or silent for a session: everything held is lost
 *   any ──leave──▶ leaving ──▶ left
 */
export class GroupMember {
  readonly #options: MemberOptions
  readonly #cluster: KafkaCluster
  readonly #connection: KafkaConnection
  readonly #events: MemberEvents
  readonly #coordinator: Coordinator
  readonly #maxUnavailableMs: number
  readonly #held = new Map<string, TopicPartition>()
  readonly #revoking = new Map<string, TopicPartition>()
  /** Fired by every change of state, and by whatever makes a join necessary. */
  readonly #changed = new Pulse()
  #state: 'idle' | 'joining' | 'stable' | 'leaving' | 'left' = 'idle'
  #memberId = ''
  #generation = -1
  #mustJoin = true
  #isParked = false
  #acceptedAtMs = performance.now()
  #failure: { readonly thrown: unknown } | undefined
  #heartbeatTimer: NodeJS.Timeout | undefined
  #isHeartbeatDue = true
  #left: Promise<void> | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(options: MemberOptions, cluster: KafkaCluster, connection: KafkaConnection, events: MemberEvents) {
    this.#options = options
    this.#cluster = cluster
    this.#connection = connection
    this.#events = events
    this.#coordinator = new Coordinator(options.group, 'group', cluster)
    this.#maxUnavailableMs = options.maxUnavailableMs ?? connection.settings.timing.consumePatienceMs
  }

  /** Resolves after `leave`; rejects when membership cannot be had: refused for good, or unreachable for too long. */
  async run(): Promise<void> {
    if (this.#state !== 'idle') throw closedError()
    this.#state = 'joining'
    this.#acceptedAtMs = performance.now()
    const heartbeatMs = Math.min(SLOWEST_HEARTBEAT_MS, this.#options.sessionTimeoutMs / 6)
    this.#heartbeatTimer = setInterval(() => this.#beat(), heartbeatMs)
    this.#running = this.#stayMember()
    await this.#running
    if (this.#failure !== undefined) {
      await this.leave()
      throw this.#failure.thrown
    }
    await this.#left
  }

  holds(partition: TopicPartition): boolean {
    return this.#held.has(keyOf(partition))
  }

  /**
   * False when the partition is no longer the member's (`isMine` adds what only the caller knows). While the group
   * rebalances or its coordinator moves it waits, for as long as the session may be alive.
   */
  async commit(partition: TopicPartition, offset: number, isMine: () => boolean): Promise<boolean> {
    const { topic } = partition
    for (let tries = 0; ; tries++) {
      if (!this.holds(partition) || !isMine()) return false
      const { memberId, generation } = this.#identity()
      const changed = this.#changed.next()
      try {
        await this.#coordinator.send('OffsetCommit', {
          groupId: this.#options.group,
          memberId,
          groupGenerationId: generation,
          topics: [{ topic, partitions: [{ partition: partition.partition, offset: String(offset) }] }],
        })
        return true
      } catch (thrown) {
        if (isExpulsion(thrown)) this.#expelled(memberId)
        else if (!isRebalancing(thrown) && !isCoordinatorTrouble(thrown) && !isStaleMetadata(thrown, tries))
          throw this.#error(thrown, 'commit the offsets of', topic)
        else await Promise.race([changed, this.#pause(tries)])
      }
    }
  }

  /** -1 when the group never committed; undefined when the partition is not the member's, or not wanted, any more. */
  async committed(partition: TopicPartition, isWanted: () => boolean): Promise<number | undefined> {
    const { topic } = partition
    for (let tries = 0; this.holds(partition) && isWanted(); tries++) {
      try {
        const { responses } = await this.#coordinator.send('OffsetFetch', {
          groupId: this.#options.group,
          topics: [{ topic, partitions: [{ partition: partition.partition }] }],
        })
        return Number(responses[0]?.partitions[0]?.offset ?? -1)
      } catch (thrown) {
        if (!isCoordinatorTrouble(thrown)) throw this.#error(thrown, 'ask for the offsets of', topic)
        await this.#pause(tries)
      }
    }
    return undefined
  }

  /** Lets the others have what it held, at once. Idempotent. */
  leave(): Promise<void> {
    this.#left ??= this.#leave()
    return this.#left
  }

  async #stayMember(): Promise<void> {
    for (let tries = 0, refusals = 0; !this.#isLeaving();) {
      const changed = this.#changed.next()
      if (!this.#mustJoin) {
        await changed
        continue
      }
      try {
        this.#enter('joining')
        this.#mustJoin = false
        await this.#join()
        tries = refusals = 0
      } catch (thrown) {
        this.#mustJoin = true
        if (this.#isLeaving()) return
        if (isExpulsion(thrown)) this.#expelled(this.#memberId)
        const isPassing = isExpulsion(thrown) || isCoordinatorTrouble(thrown) || isRebalancing(thrown)
        if (!isPassing && !isStaleMetadata(thrown, tries)) refusals++
        const error = this.#error(thrown, 'join', undefined)
        if (isFinal(error) || refusals >= MAX_REFUSALS || this.#isSilentFor(this.#maxUnavailableMs)) {
          this.#failure = { thrown: error }
          return
        }
        await this.#pause(tries++)
      }
    }
  }

  async #join(): Promise<void> {
    const { group } = this.#options
    const joined = await this.#askToJoin()
    this.#memberId = joined.memberId
    this.#generation = joined.generationId
    this.#accepted()
    const groupAssignment = joined.memberId === joined.leaderId ? await this.#assign(joined) : []
    const { memberAssignment } = await this.#park('SyncGroup', {
      groupId: group,
      memberId: joined.memberId,
      generationId: joined.generationId,
      groupAssignment,
    })
    this.#accepted()
    if (this.#memberId !== joined.memberId || this.#isLeaving()) return
    this.#enter('stable')
    this.#apply(decodeAssignment(memberAssignment))
  }

  async #askToJoin(): Promise<JoinAnswer> {
    const { group, sessionTimeoutMs } = this.#options
    const request = () => ({
      groupId: group,
      memberId: this.#memberId,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: sessionTimeoutMs,
      protocolType: 'consumer' as const,
      groupProtocols: [{ name: PROTOCOL_NAME, metadata: this.#claims() }],
    })
    if (this.#memberId === '') {
      try {
        // Answered at once with the id to join with, which has to be given back when the member leaves before it is used.
        return await this.#coordinator.park('JoinGroup', request(), this.#parkedTimeoutMs)
      } catch (thrown) {
        const memberId = requiredMemberId(thrown)
        if (memberId === undefined) throw thrown
        this.#memberId = memberId
        if (this.#isLeaving()) throw closedError()
      }
    }
    return this.#park('JoinGroup', request())
  }

  /** For as long as the others take; `leave` does not wait for them. */
  async #park<N extends 'JoinGroup' | 'SyncGroup'>(name: N, args: Requests[N]['args']): Promise<Requests[N]['answer']> {
    this.#isParked = true
    try {
      return await this.#coordinator.park(name, args, this.#parkedTimeoutMs)
    } finally {
      this.#isParked = false
    }
  }

  async #assign({ members }: JoinAnswer): Promise<{ memberId: string; memberAssignment: Buffer }[]> {
    return assignGroup(members, await this.#cluster.partitionCounts(topicsOf(members)))
  }

  #apply(assigned: readonly TopicPartition[]): void {
    const wanted = new Map(assigned.map((partition) => [keyOf(partition), partition]))
    for (const [key, partition] of this.#held) {
      if (!wanted.has(key) && !this.#revoking.has(key)) void this.#giveUp(key, partition)
    }
    for (const [key, partition] of wanted) {
      if (this.#held.has(key)) continue
      this.#held.set(key, partition)
      this.#events.onAssigned(partition)
    }
  }

  async #giveUp(key: string, partition: TopicPartition): Promise<void> {
    this.#revoking.set(key, partition)
    await this.#events.onRevoked(partition)
    // Lost meanwhile, and perhaps assigned again.
    if (this.#revoking.get(key) !== partition) return
    this.#revoking.delete(key)
    this.#held.delete(key)
    if (this.#revoking.size === 0) this.#joinAgain()
  }

  #beat(): void {
    const mayMatter = this.#held.size > 0 || this.#state === 'stable'
    if (mayMatter && this.#isSilentFor(this.#options.sessionTimeoutMs)) {
      // Still a member, perhaps; but by now the coordinator may have given everything to others.
      this.#loseAll()
      this.#joinAgain()
    }
    // Before it has joined, a member is not known yet.
    if (this.#isHeartbeatDue && this.#generation >= 0) void this.#heartbeat()
  }

  async #heartbeat(): Promise<void> {
    this.#isHeartbeatDue = false
    const askedAtMs = performance.now()
    const { memberId, generation } = this.#identity()
    try {
      await this.#coordinator.send('Heartbeat', {
        groupId: this.#options.group,
        memberId,
        groupGenerationId: generation,
      })
      this.#accepted(askedAtMs)
    } catch (thrown) {
      if (isOfType(thrown, 'REBALANCE_IN_PROGRESS')) {
        this.#accepted(askedAtMs)
        // A join that waits for the others is told so, too.
        if (this.#state === 'stable' && generation === this.#generation) this.#joinAgain()
      } else if (isExpulsion(thrown)) this.#expelled(memberId)
      else if (isOfType(thrown, 'ILLEGAL_GENERATION') && this.#state === 'stable' && generation === this.#generation)
        this.#expelled(memberId)
      // Anything else: the next beat tries again, for as long as the session may be alive.
    } finally {
      this.#isHeartbeatDue = true
    }
  }

  #joinAgain(): void {
    // A join that is under way takes what is held from before: it has to be followed by another.
    this.#mustJoin = true
    this.#changed.fire()
  }

  #expelled(memberId: string): void {
    if (memberId !== this.#memberId || memberId === '') return
    this.#memberId = ''
    this.#generation = -1
    this.#loseAll()
    this.#joinAgain()
  }

  #loseAll(): void {
    const lost = [...this.#held.values()]
    this.#held.clear()
    this.#revoking.clear()
    for (const partition of lost) this.#events.onLost(partition)
    this.#changed.fire()
  }

  async #leave(): Promise<void> {
    if (this.#state === 'idle' || this.#state === 'left') {
      this.#state = 'left'
      return
    }
    this.#enter('leaving')
    // Unless it waits for others, an answer is due now, and may hold the id to leave with.
    const impatience = setTimeout(() => this.#coordinator.dropParked(), this.#isParked ? 0 : LEAVE_TIMEOUT_MS)
    await this.#running
    clearTimeout(impatience)
    clearInterval(this.#heartbeatTimer)
    this.#loseAll()
    if (this.#memberId !== '') await this.#sayGoodbye()
    this.#coordinator.close()
    this.#enter('left')
  }

  async #sayGoodbye(): Promise<void> {
    const timeout = AbortSignal.timeout(LEAVE_TIMEOUT_MS)
    const tooLong = new Promise<void>((resolve) => timeout.addEventListener('abort', () => resolve(), { once: true }))
    const left = this.#coordinator.send('LeaveGroup', { groupId: this.#options.group, memberId: this.#memberId })
    await Promise.race([left.catch(() => {}), tooLong])
  }

  /** For the coordinator a session begins anew when it is asked, however late its answer comes. */
  #accepted(atMs = performance.now()): void {
    this.#acceptedAtMs = Math.max(this.#acceptedAtMs, atMs)
    this.#events.onAlive()
  }

  #isSilentFor(ms: number): boolean {
    return performance.now() - this.#acceptedAtMs > ms
  }

  #enter(state: 'joining' | 'stable' | 'leaving' | 'left'): void {
    if (this.#state === 'left' || (this.#state === 'leaving' && state !== 'left')) return
    this.#state = state
    this.#changed.fire()
  }

  #isLeaving(): boolean {
    return this.#state === 'leaving' || this.#state === 'left'
  }

  #identity(): { readonly memberId: string; readonly generation: number } {
    return { memberId: this.#memberId, generation: this.#generation }
  }

  #claims(): Buffer {
    return encodeClaims({
      topics: this.#options.topics,
      claims: [...this.#held.values()],
      generation: this.#generation,
    })
  }

  /** The coordinator answers when all members have joined, or had their time for it. */
  get #parkedTimeoutMs(): number {
    return this.#options.sessionTimeoutMs + this.#connection.settings.timing.requestTimeoutMs
  }

  /** Waits longer with every try; ends early when the member leaves. */
  async #pause(tries: number): Promise<void> {
    const { retryMs, maxRetryMs } = this.#connection.settings.timing
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, Math.min(maxRetryMs, retryMs * 1.5 ** tries))
    while (!this.#isLeaving()) {
      const changed = this.#changed.next()
      const isOver = await Promise.race([promise.then(() => true), changed.then(() => false)])
      if (isOver) break
    }
    clearTimeout(timer)
  }

  #error(thrown: unknown, doing: string, topic: string | undefined): PlateauError {
    const attempt = { doing, group: this.#options.group, ...(topic === undefined ? {} : { topic }) }
    return this.#connection.error(thrown, attempt)
  }
}

function isRebalancing(thrown: unknown): boolean {
  return isOfType(thrown, 'REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'MEMBER_ID_REQUIRED')
}

/** A node that has just started may not know every topic yet. */
function isStaleMetadata(thrown: unknown, tries: number): boolean {
  const isUnknownTopic = thrown instanceof PlateauError && thrown.code === 'UNKNOWN_TOPIC'
  return (isUnknownTopic || isOfType(thrown, 'UNKNOWN_TOPIC_OR_PARTITION')) && tries < MAX_STALE_TRIES
}
