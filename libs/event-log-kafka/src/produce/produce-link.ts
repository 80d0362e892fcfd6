import type { KafkaCluster } from '../kafkajs/kafka-cluster.js'
import type { NodeConnection } from '../kafkajs/node-connection.js'
import { errorOfCode, isConnectionTrouble } from '../kafkajs/protocol-errors.js'
import type { Node } from '../kafkajs/requests.js'
import { PRODUCE_VERSION, produceBody } from './produce-body.js'

/** One request carries at most this much; what waits beyond it goes with the next. Brokers refuse 100 MiB. */
const MAX_REQUEST_BYTES = 4 * 1024 * 1024

/** One partition's batch on its way. A request never holds two of the same partition. */
export interface StampedBatch {
  readonly topic: string
  readonly partition: number
  readonly bytes: Buffer
}

interface Waiting extends StampedBatch {
  readonly resolve: (baseOffset: number) => void
  readonly reject: (reason: unknown) => void
}

/**
 * Carries batches to whoever leads their partitions: one request at a time to each node, holding all that has come
 * meanwhile. Each partition has its own answer; nothing is tried twice here.
 */
export class ProduceLink {
  readonly #cluster: KafkaCluster
  readonly #ackTimeoutMs: number
  readonly #transactionalId: string | null
  readonly #leaders = new Map<string, Promise<ReadonlyMap<number, Node | undefined>>>()
  readonly #nodes = new Map<number, NodeLine>()

  constructor(cluster: KafkaCluster, options: { readonly ackTimeoutMs: number; readonly transactionalId?: string }) {
    this.#cluster = cluster
    this.#ackTimeoutMs = options.ackTimeoutMs
    this.#transactionalId = options.transactionalId ?? null
  }

  /** Resolves with the offset of the batch's first record, or rejects as the broker or the connection did. */
  async append(batch: StampedBatch): Promise<number> {
    const node = await this.#leaderOf(batch)
    try {
      return await this.#lineTo(node).append(batch)
    } catch (thrown) {
      // Whatever it was, another node may lead by now.
      this.#leaders.delete(batch.topic)
      if (isConnectionTrouble(thrown)) this.#hangUp(node)
      throw thrown
    }
  }

  close(): void {
    for (const line of this.#nodes.values()) line.retire()
    this.#nodes.clear()
  }

  async #leaderOf({ topic, partition }: StampedBatch): Promise<Node> {
    let leaders = this.#leaders.get(topic)
    if (leaders === undefined) {
      leaders = this.#askLeaders(topic)
      this.#leaders.set(topic, leaders)
      leaders.catch(() => this.#leaders.delete(topic))
    }
    const found = await leaders
    const leader = found.get(partition)
    if (leader !== undefined) return leader
    this.#leaders.delete(topic)
    // No such partition: the topic was made anew, with fewer.
    throw errorOfCode(found.has(partition) ? LEADER_NOT_AVAILABLE : UNKNOWN_TOPIC_OR_PARTITION)
  }

  async #askLeaders(topic: string): Promise<ReadonlyMap<number, Node | undefined>> {
    const partitions = await this.#cluster.leaders(topic)
    return new Map(partitions.map(({ partition, leader }) => [partition, leader]))
  }

  #lineTo(node: Node): NodeLine {
    let line = this.#nodes.get(node.nodeId)
    const { host, port } = line?.connection ?? node
    if (line === undefined || host !== node.host || port !== node.port) {
      if (line !== undefined) this.#hangUp(node)
      const connection = this.#cluster.open(node)
      line = new NodeLine(connection, {
        transactionalId: this.#transactionalId,
        timeoutMs: this.#ackTimeoutMs,
        onRetired: () => this.#cluster.release(connection),
      })
      this.#nodes.set(node.nodeId, line)
    }
    return line
  }

  #hangUp({ nodeId }: Node): void {
    this.#nodes.get(nodeId)?.retire()
    this.#nodes.delete(nodeId)
  }
}

const UNKNOWN_TOPIC_OR_PARTITION = 3
const LEADER_NOT_AVAILABLE = 5

interface LineOptions {
  readonly transactionalId: string | null
  readonly timeoutMs: number
  readonly onRetired: () => void
}

class NodeLine {
  readonly connection: NodeConnection
  readonly #options: LineOptions
  #waiting: Waiting[] = []
  #isSending = false
  #isRetired = false

  constructor(connection: NodeConnection, options: LineOptions) {
    this.connection = connection
    this.#options = options
  }

  append(batch: StampedBatch): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...batch, resolve, reject })
      if (!this.#isSending) void this.#sendAll()
    })
  }

  /** Ends when what it holds has been answered. */
  retire(): void {
    if (this.#isRetired) return
    this.#isRetired = true
    if (!this.#isSending) this.#options.onRetired()
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true
    while (this.#waiting.length > 0) {
      const batches = this.#takeRequest()
      try {
        await this.#send(batches)
      } catch (thrown) {
        // What waits would fare no better here, and may have another leader by now.
        for (const { reject } of [...batches, ...this.#waiting.splice(0)]) reject(thrown)
      }
    }
    this.#isSending = false
    if (this.#isRetired) this.#options.onRetired()
  }

  #takeRequest(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const batch of this.#waiting) {
      bytes += batch.bytes.length
      if (count > 0 && bytes > MAX_REQUEST_BYTES) break
      count++
    }
    return this.#waiting.splice(0, count)
  }

  async #send(batches: readonly Waiting[]): Promise<void> {
    const body = produceBody(batches, this.#options)
    const { topics } = await this.connection.send('Produce', NO_ARGS, {
      body,
      version: PRODUCE_VERSION,
      withErrors: true,
    })
    const answers = new Map(
      topics.flatMap(({ topicName, partitions }) =>
        partitions.map((answer) => [`${topicName}/${answer.partition}`, answer] as const),
      ),
    )
    for (const { topic, partition, resolve, reject } of batches) {
      const answer = answers.get(`${topic}/${partition}`)
      if (answer === undefined) reject(new RangeError(`the broker said nothing of ${topic}/${partition}`))
      else if (answer.errorCode !== 0) reject(errorOfCode(answer.errorCode))
      else resolve(Number(answer.baseOffset))
    }
  }
}

/** What kafkajs would write comes from `produceBody`; of the arguments it only looks at `acks`, to know that an answer comes. */
const NO_ARGS = {
  acks: -1,
  timeout: 0,
  transactionalId: null,
  producerId: '-1',
  producerEpoch: -1,
  topicData: [],
} as const
