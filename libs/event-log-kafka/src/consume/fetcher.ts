import type { KafkaConnection } from '../connection.js'
import { EARLIEST, type KafkaCluster } from '../kafkajs/kafka-cluster.js'
import type { NodeConnection } from '../kafkajs/node-connection.js'
import { errorOfCode, isOfType } from '../kafkajs/protocol-errors.js'
import type { FetchArgs, Node } from '../kafkajs/requests.js'
import { decodeFetchResponse, FETCH_VERSION, type FetchedPartition, type FetchResponse } from './fetch-response.js'
import { isFinal } from './patience.js'
import { PartitionFeed } from './partition-feed.js'
import { RecordChunk } from './record-chunk.js'

/** How long a node may sit on a fetch that finds nothing. */
const MAX_WAIT_MS = 250
/**
 * One fetch asks for every partition of a node that wants records. A partition that begins to want while that fetch is
 * still waiting for others is asked for over another connection, so that a busy one does not wait for the idle ones;
 * with more than this many waiting it takes its turn after MAX_WAIT_MS at most.
 */
const MAX_FETCHES_PER_NODE = 4
const MAX_PARTITION_BYTES = 2 * 1024 * 1024
const MAX_RESPONSE_BYTES = 16 * 1024 * 1024
const UNKNOWN = -1
const LEADER_NOT_AVAILABLE = 5

export interface FetcherOptions {
  /** A partition that was asked for in vain for this long fails with LOG_UNAVAILABLE. Default `consumePatienceMs`. */
  readonly maxUnavailableMs?: number
  /** A node answered. */
  readonly onAlive?: () => void
}

/**
 * Keeps partitions supplied with records from whoever leads them; a leader that moves is looked up again. Memory: for
 * each partition the chunk that is being handed out and one more that waits or is on its way, 2 MiB each as it stands in
 * the log (or one batch, where that is larger), and the one batch of it that is inflated.
 */
export class Fetcher {
  readonly #cluster: KafkaCluster
  readonly #connection: KafkaConnection
  readonly #maxUnavailableMs: number
  readonly #onAlive: () => void
  /** In the order in which they are asked for: those that got nothing for longest first. */
  readonly #feeds = new Set<PartitionFeed>()
  readonly #leaders = new Map<string, ReadonlyMap<number, Node | undefined>>()
  readonly #lookups = new Map<string, Promise<void>>()
  readonly #idle = new Map<string, NodeConnection[]>()
  readonly #busy = new Map<string, number>()
  readonly #closed = new AbortController()
  #isPumping = false

  constructor(cluster: KafkaCluster, connection: KafkaConnection, options: FetcherOptions = {}) {
    this.#cluster = cluster
    this.#connection = connection
    this.#maxUnavailableMs = options.maxUnavailableMs ?? connection.settings.timing.consumePatienceMs
    this.#onAlive = options.onAlive ?? (() => {})
  }

  /** `onChange` is called when there may be something to read, and when the position moved without. */
  feed(topic: string, partition: number, position: number, onChange: () => void): PartitionFeed {
    const feed = new PartitionFeed(topic, partition, position, {
      onChange,
      onWant: () => this.#pumpSoon(),
      onClosed: () => this.#feeds.delete(feed),
    })
    this.#feeds.add(feed)
    this.#pumpSoon()
    return feed
  }

  close(): void {
    this.#closed.abort()
    this.#feeds.clear()
    for (const connection of [...this.#idle.values()].flat()) this.#cluster.release(connection)
    this.#idle.clear()
  }

  /** What begins to want in the same turn shares a fetch. */
  #pumpSoon(): void {
    if (this.#isPumping || this.#closed.signal.aborted) return
    this.#isPumping = true
    queueMicrotask(() => {
      this.#isPumping = false
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#closed.signal.aborted) return
    const byNode = new Map<Node, PartitionFeed[]>()
    for (const feed of this.#feeds) {
      if (!feed.wants) continue
      const leader = this.#leaders.get(feed.topic)?.get(feed.partition)
      if (leader === undefined) this.#lookUp(feed.topic)
      else byNode.set(leader, [...(byNode.get(leader) ?? []), feed])
    }
    for (const [node, feeds] of byNode) void this.#fetch(node, feeds)
  }

  async #fetch(node: Node, feeds: readonly PartitionFeed[]): Promise<void> {
    const key = `${node.host}:${node.port}`
    const busy = this.#busy.get(key) ?? 0
    if (busy >= MAX_FETCHES_PER_NODE) return
    this.#busy.set(key, busy + 1)
    const connection = this.#idle.get(key)?.pop() ?? this.#cluster.open(node)
    for (const feed of feeds) feed.isAsked = true
    try {
      const response = (await connection.send('Fetch', fetchArgs(feeds), {
        timeoutMs: MAX_WAIT_MS + this.#connection.settings.timing.requestTimeoutMs,
        version: FETCH_VERSION,
        decode: decodeFetchResponse,
      })) as FetchResponse
      if (response.errorCode !== 0) throw errorOfCode(response.errorCode)
      this.#onAlive()
      await this.#deliver(node, feeds, response)
    } catch (thrown) {
      for (const feed of feeds) this.#moved(feed, thrown)
    } finally {
      this.#busy.set(key, (this.#busy.get(key) ?? 1) - 1)
      if (this.#closed.signal.aborted) this.#cluster.release(connection)
      else this.#idle.set(key, [...(this.#idle.get(key) ?? []), connection])
      for (const feed of feeds) feed.isAsked = false
      this.#pumpSoon()
    }
  }

  async #deliver(node: Node, feeds: readonly PartitionFeed[], response: FetchResponse): Promise<void> {
    const answers = new Map(response.partitions.map((answer) => [`${answer.topic}/${answer.partition}`, answer]))
    const full = response.partitions.filter(({ records }) => records.length > 0).length
    for (const feed of feeds) {
      const answer = answers.get(`${feed.topic}/${feed.partition}`)
      if (answer === undefined) this.#moved(feed, errorOfCode(UNKNOWN))
      else if (answer.errorCode === 0) this.#supply(feed, full > 1 ? ownBytes(answer) : answer)
      else await this.#refused(node, feed, errorOfCode(answer.errorCode))
    }
  }

  #supply(feed: PartitionFeed, answer: FetchedPartition): void {
    feed.answered(answer.lastStableOffset)
    const decodeValue = (value: Buffer) => this.#connection.wire.decode(feed.topic, value)
    const chunk = new RecordChunk(answer, feed.fetchOffset, decodeValue)
    if (!chunk.hasMore) return
    feed.supply(chunk)
    if (this.#feeds.delete(feed)) this.#feeds.add(feed)
  }

  async #refused(node: Node, feed: PartitionFeed, error: Error): Promise<void> {
    if (!isOfType(error, 'OFFSET_OUT_OF_RANGE')) return this.#moved(feed, error)
    try {
      // Below what is still held: go on at the earliest. Beyond the end, because the log was cut: rather twice than never.
      const earliest = await this.#cluster.offsetsAt(node, feed.topic, [feed.partition], EARLIEST)
      feed.moveTo(earliest.get(feed.partition) ?? 0)
    } catch (thrown) {
      this.#moved(feed, thrown)
    }
  }

  /** Someone else may lead by now. */
  #moved(feed: PartitionFeed, thrown: unknown): void {
    this.#leaders.delete(feed.topic)
    this.#troubled(feed, thrown)
  }

  /** Waits a little and tries again; gives up when that did not help for long. */
  #troubled(feed: PartitionFeed, thrown: unknown): void {
    if (this.#closed.signal.aborted) return
    const { topic, partition } = feed
    const error = this.#connection.error(thrown, { doing: 'read', topic, partition })
    if (isFinal(error) || feed.troubledMs > this.#maxUnavailableMs) return feed.fail(error)
    const { retryMs, maxRetryMs } = this.#connection.settings.timing
    feed.rest(Math.min(maxRetryMs, retryMs * 1.5 ** feed.failures))
  }

  #lookUp(topic: string): void {
    if (this.#lookups.has(topic)) return
    const lookup = this.#leadersOf(topic).finally(() => {
      this.#lookups.delete(topic)
      this.#pumpSoon()
    })
    this.#lookups.set(topic, lookup)
  }

  async #leadersOf(topic: string): Promise<void> {
    const wanting = () => [...this.#feeds].filter((feed) => feed.topic === topic && feed.wants)
    try {
      const found = await this.#cluster.leaders(topic)
      const leaders = new Map(found.map(({ partition, leader }) => [partition, leader]))
      this.#leaders.set(topic, leaders)
      const leaderless = wanting().filter((feed) => leaders.get(feed.partition) === undefined)
      for (const feed of leaderless) this.#troubled(feed, errorOfCode(LEADER_NOT_AVAILABLE))
    } catch (thrown) {
      for (const feed of wanting()) this.#troubled(feed, thrown)
    }
  }
}

function fetchArgs(feeds: readonly PartitionFeed[]): FetchArgs {
  const topics = new Map<string, { partition: number; fetchOffset: string; maxBytes: number }[]>()
  for (const { topic, partition, fetchOffset } of feeds) {
    const wanted = { partition, fetchOffset: String(fetchOffset), maxBytes: MAX_PARTITION_BYTES }
    topics.set(topic, [...(topics.get(topic) ?? []), wanted])
  }
  return {
    replicaId: -1,
    isolationLevel: 1,
    maxWaitTime: MAX_WAIT_MS,
    minBytes: 1,
    maxBytes: MAX_RESPONSE_BYTES,
    topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
  }
}

/** A slow partition must not keep the whole answer alive. */
function ownBytes(answer: FetchedPartition): FetchedPartition {
  return answer.records.length === 0 ? answer : { ...answer, records: Buffer.from(answer.records) }
}
