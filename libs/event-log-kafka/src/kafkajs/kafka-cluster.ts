import type { KafkaConfig } from 'kafkajs'
import { closedError } from '@plateau/event-log/adapter'
import { unknownTopic } from '../kafka-errors.js'
import { brokerFactory, type WireBroker } from './modules.js'
import { NodeConnection, type SendOptions } from './node-connection.js'
import { errorOfCode, isConnectionTrouble } from './protocol-errors.js'
import type { MetadataAnswer, Node, Requests } from './requests.js'

const UNKNOWN_TOPIC_OR_PARTITION = 3
const LEADER_NOT_AVAILABLE = 5
const NOT_CONTROLLER = 41
export const EARLIEST = -2
export const LATEST = -1

export interface PartitionLeader {
  readonly partition: number
  /** Undefined while an election is going on. */
  readonly leader: Node | undefined
}

/**
 * The nodes of a cluster and how to find one's way among them. kafkajs's own Cluster is not used: one partition without
 * a leader makes its whole metadata fail, and its retries hold a caller for half a minute. Nothing here tries twice
 * beyond asking each node that is known.
 */
export class KafkaCluster {
  readonly #seeds: readonly Node[]
  readonly #makeBroker: (host: string, port: number) => Promise<WireBroker>
  readonly #opened = new Set<NodeConnection>()
  /** One connection per node for short questions. The node that answered last comes first. */
  readonly #shared = new Map<string, NodeConnection>()
  #nodes: readonly Node[] = []
  #isClosed = false

  constructor(config: KafkaConfig) {
    this.#makeBroker = brokerFactory(config)
    this.#seeds = seedsOf(config.brokers)
  }

  /** A connection of the caller's own, for requests that take long or must not wait behind others. */
  open({ host, port }: Pick<Node, 'host' | 'port'>): NodeConnection {
    if (this.#isClosed) throw closedError()
    const connection = new NodeConnection(host, port, () => this.#makeBroker(host, port))
    this.#opened.add(connection)
    return connection
  }

  /** What is still under way over it is rejected with the reason, or as closed. */
  release(connection: NodeConnection | undefined, reason?: Error): void {
    if (connection === undefined) return
    this.#opened.delete(connection)
    connection.close(reason)
  }

  /** A short question to one node. */
  ask<N extends keyof Requests>(
    node: Node,
    name: N,
    args: Requests[N]['args'],
    options?: SendOptions,
  ): Promise<Requests[N]['answer']> {
    const key = keyOf(node)
    let connection = this.#shared.get(key)
    if (connection === undefined) {
      connection = this.open(node)
      this.#shared.set(key, connection)
    }
    return connection.send(name, args, options)
  }

  /** The partitions of a topic and who leads them. Throws UNKNOWN_TOPIC. */
  async leaders(topic: string): Promise<PartitionLeader[]> {
    const metadata = await this.metadata([topic])
    const nodes = new Map(metadata.brokers.map((node) => [node.nodeId, node]))
    return partitionsIn(metadata, topic)
      .map(({ partitionId, leader }) => ({ partition: partitionId, leader: nodes.get(leader) }))
      .toSorted((a, b) => a.partition - b.partition)
  }

  /** Partitions per topic. Throws UNKNOWN_TOPIC, also when the node that was asked does not know the topic yet. */
  async partitionCounts(topics: readonly string[]): Promise<Map<string, number>> {
    const metadata = await this.metadata(topics)
    return new Map(topics.map((topic) => [topic, partitionsIn(metadata, topic).length]))
  }

  async coordinator(id: string, kind: 'group' | 'transaction'): Promise<Node> {
    const { coordinator } = await this.askAny('GroupCoordinator', {
      groupId: id,
      coordinatorType: kind === 'group' ? 0 : 1,
    })
    return coordinator
  }

  /** Who creates topics: before Kafka 3.3 (KRaft), nobody else does. */
  async controller(): Promise<Node> {
    const { brokers, controllerId } = await this.metadata([])
    const controller = brokers.find(({ nodeId }) => nodeId === controllerId)
    if (controller === undefined) throw errorOfCode(NOT_CONTROLLER)
    return controller
  }

  /** EARLIEST or LATEST of every partition of a topic, by partition. */
  async offsetsOf(topic: string, which: number): Promise<{ readonly partition: number; readonly offset: number }[]> {
    const leaders = await this.leaders(topic)
    const byNode = Map.groupBy(leaders, ({ leader }) => leader)
    const answers = [...byNode].map(async ([leader, led]) => {
      if (leader === undefined) throw errorOfCode(LEADER_NOT_AVAILABLE)
      return this.offsetsAt(
        leader,
        topic,
        led.map(({ partition }) => partition),
        which,
      )
    })
    const offsets = new Map((await Promise.all(answers)).flatMap((answer) => [...answer]))
    return leaders.map(({ partition }) => ({ partition, offset: offsets.get(partition) ?? 0 }))
  }

  /** EARLIEST or LATEST of one partition, whether or not the others have a leader. */
  async offsetOf(
    { topic, partition }: { readonly topic: string; readonly partition: number },
    which: number,
  ): Promise<number> {
    const led = (await this.leaders(topic)).find((candidate) => candidate.partition === partition)
    if (led?.leader === undefined) throw errorOfCode(LEADER_NOT_AVAILABLE)
    return (await this.offsetsAt(led.leader, topic, [partition], which)).get(partition) ?? 0
  }

  /** EARLIEST or LATEST of partitions that one node leads; LATEST is where a read_committed reader would end. */
  async offsetsAt(
    leader: Node,
    topic: string,
    partitions: readonly number[],
    which: number,
  ): Promise<Map<number, number>> {
    const { responses } = await this.ask(
      leader,
      'ListOffsets',
      {
        replicaId: -1,
        isolationLevel: 1,
        topics: [{ topic, partitions: partitions.map((partition) => ({ partition, timestamp: which })) }],
      },
      { withErrors: true },
    )
    const answered = responses.flatMap((response) => response.partitions)
    const failed = answered.find(({ errorCode }) => errorCode !== 0)
    if (failed !== undefined) throw errorOfCode(failed.errorCode)
    return new Map(answered.map(({ partition, offset }) => [partition, Number(offset)]))
  }

  close(): void {
    this.#isClosed = true
    for (const connection of this.#opened) connection.close()
    this.#opened.clear()
    this.#shared.clear()
  }

  /** Errors of topics and partitions are in the answer. No topics: only the nodes. */
  async metadata(topics: readonly string[]): Promise<MetadataAnswer> {
    const metadata = await this.askAny('Metadata', { topics }, { withErrors: true })
    this.#nodes = metadata.brokers
    return metadata
  }

  /** A question that every node can answer, to the first one that does. */
  async askAny<N extends keyof Requests>(
    name: N,
    args: Requests[N]['args'],
    options?: SendOptions,
  ): Promise<Requests[N]['answer']> {
    let trouble: unknown
    for (const node of this.#candidates()) {
      try {
        const answer = await this.ask(node, name, args, options)
        this.#prefer(node)
        return answer
      } catch (thrown) {
        if (!isConnectionTrouble(thrown)) throw thrown
        trouble ??= thrown
      }
    }
    throw trouble
  }

  #candidates(): Node[] {
    const byKey = new Map([...this.#nodes, ...this.#seeds].map((node) => [keyOf(node), node]))
    const preferred = [...this.#shared.keys()].flatMap((key) => byKey.get(key) ?? [])
    return [...new Set([...preferred, ...byKey.values()])]
  }

  #prefer(node: Node): void {
    const rest = [...this.#shared].filter(([key]) => key !== keyOf(node))
    const own = this.#shared.get(keyOf(node))
    this.#shared.clear()
    if (own !== undefined) this.#shared.set(keyOf(node), own)
    for (const [key, connection] of rest) this.#shared.set(key, connection)
  }
}

function partitionsIn({ topicMetadata }: MetadataAnswer, topic: string) {
  const found = topicMetadata.find((candidate) => candidate.topic === topic)
  if (found === undefined || found.topicErrorCode === UNKNOWN_TOPIC_OR_PARTITION) throw unknownTopic(topic)
  if (found.topicErrorCode !== 0) throw errorOfCode(found.topicErrorCode)
  return found.partitionMetadata
}

function keyOf({ host, port }: Pick<Node, 'host' | 'port'>): string {
  return `${host}:${port}`
}

function seedsOf(brokers: KafkaConfig['brokers']): Node[] {
  if (!Array.isArray(brokers)) throw new TypeError('brokers must be a list of host:port')
  return brokers.map((address) => {
    const colon = address.lastIndexOf(':')
    return { nodeId: -1, host: address.slice(0, colon), port: Number(address.slice(colon + 1)) }
  })
}
