import { closedError } from '@plateau/event-log/adapter'
import { KafkaCluster } from '../kafkajs/kafka-cluster.js'
import { NodeConnection } from '../kafkajs/node-connection.js'
import type { Node, Requests } from '../kafkajs/requests.js'
import { kafkaConfig } from '../kafka-config.js'
import { settingsOf } from '../options.js'

const UNKNOWN_TOPIC_OR_PARTITION = 3
const node: Node = { nodeId: 1, host: '127.0.0.1', port: 1 }

type Before = (name: string) => Promise<void>

/** Answers in order, as a node does. */
class GroupConnection extends NodeConnection {
  readonly #answer: (name: string, args: unknown) => Promise<unknown>
  readonly #hangUp = Promise.withResolvers<never>()
  #last: Promise<unknown> = Promise.resolve()

  constructor(answer: (name: string, args: unknown) => Promise<unknown>) {
    super(node.host, node.port, () => Promise.reject(new TypeError('nobody connects')))
    this.#answer = answer
    this.#hangUp.promise.catch(() => {})
  }

  override close(reason: Error = closedError()): void {
    this.#hangUp.reject(reason)
  }

  override send<N extends keyof Requests>(name: N, args: Requests[N]['args']): Promise<Requests[N]['answer']> {
    const answered = this.#last.then(() => this.#answer(name, args) as Promise<Requests[N]['answer']>)
    this.#last = answered.catch(() => {})
    return Promise.race([answered, this.#hangUp.promise])
  }
}

/** One node that coordinates a group whose only member is whoever asks. No socket is opened. */
export class GroupOfOne extends KafkaCluster {
  readonly #counts: number[]
  readonly #before: Before
  #generation = 0

  /**
   * `counts`: how many partitions the node knows of a topic, each time that it is asked; the last one for ever. `before`
   * may keep an answer back, or throw in its place.
   */
  constructor(counts: number[], before: Before = async () => {}) {
    super(kafkaConfig(settingsOf({ bootstrapServers: ['127.0.0.1:1'] })))
    this.#counts = counts
    this.#before = before
  }

  override async coordinator(): Promise<Node> {
    return node
  }

  override async metadata(topics: readonly string[]) {
    const partitions = this.#counts.length > 1 ? this.#counts.shift()! : this.#counts[0]!
    const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => {
      return { partitionErrorCode: 0, partitionId, leader: 1, replicas: [1] }
    })
    const topicErrorCode = partitions === 0 ? UNKNOWN_TOPIC_OR_PARTITION : 0
    const topicMetadata = topics.map((topic) => ({ topic, topicErrorCode, partitionMetadata }))
    return { brokers: [node], controllerId: node.nodeId, topicMetadata }
  }

  override open(): NodeConnection {
    return new GroupConnection(async (name, args) => {
      await this.#before(name)
      return this.#answer(name, args)
    })
  }

  #answer(name: string, args: unknown): unknown {
    if (name === 'JoinGroup') {
      const memberMetadata = (args as Requests['JoinGroup']['args']).groupProtocols[0]!.metadata
      const members = [{ memberId: 'me', memberMetadata }]
      return { generationId: ++this.#generation, leaderId: 'me', memberId: 'me', members }
    }
    if (name === 'SyncGroup') {
      return { memberAssignment: (args as Requests['SyncGroup']['args']).groupAssignment[0]?.memberAssignment }
    }
    return {}
  }
}
