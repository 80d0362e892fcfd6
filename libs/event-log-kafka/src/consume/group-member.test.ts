import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { unconnected } from '../connection.js'
import { KafkaCluster } from '../kafkajs/kafka-cluster.js'
import { NodeConnection } from '../kafkajs/node-connection.js'
import type { Node, Requests } from '../kafkajs/requests.js'
import { settingsOf } from '../options.js'
import { until } from '../testing/until.js'
import { keyOf } from './assign-sticky.js'
import { GroupMember } from './group-member.js'
import { encodeClaims } from './group-protocol.js'

const UNKNOWN_TOPIC_OR_PARTITION = 3
const node: Node = { nodeId: 1, host: '127.0.0.1', port: 1 }
const connection = unconnected(
  settingsOf({ bootstrapServers: ['127.0.0.1:1'], timing: { retryMs: 1, maxRetryMs: 10 } }),
)

type Answer = (name: string, args: unknown) => Promise<unknown>

/** Coordinates a group of one. Answers in order, as a node does. */
class GroupOfOne extends NodeConnection {
  readonly #answer: Answer
  #last: Promise<unknown> = Promise.resolve()

  constructor(answer: Answer) {
    super(node.host, node.port, () => Promise.reject(new TypeError('nobody connects')))
    this.#answer = answer
  }

  override send<N extends keyof Requests>(name: N, args: Requests[N]['args']): Promise<Requests[N]['answer']> {
    const sent = this.#last.then(() => this.#answer(name, args) as Promise<Requests[N]['answer']>)
    this.#last = sent.catch(() => {})
    return sent
  }
}

class ScriptedCluster extends KafkaCluster {
  joins = 0
  /** What the node that is asked for the topic's partitions knows of it; the last one for ever. */
  readonly #counts: number[]
  readonly #before: Answer

  /** `before`: may throw, or wait, in place of a good answer. */
  constructor(counts: number[], before: Answer = async () => {}) {
    super(connection.config)
    this.#counts = counts
    this.#before = before
  }

  override async coordinator(): Promise<Node> {
    return node
  }

  override async metadata() {
    const partitions = this.#counts.length > 1 ? this.#counts.shift()! : this.#counts[0]!
    const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => {
      return { partitionErrorCode: 0, partitionId, leader: 1, replicas: [1] }
    })
    const topicErrorCode = partitions === 0 ? UNKNOWN_TOPIC_OR_PARTITION : 0
    return { brokers: [node], controllerId: 1, topicMetadata: [{ topic: 't', topicErrorCode, partitionMetadata }] }
  }

  override open(): NodeConnection {
    return new GroupOfOne(async (name, args) => {
      await this.#before(name, args)
      return this.#answer(name, args)
    })
  }

  #answer(name: string, args: unknown): unknown {
    if (name === 'JoinGroup') {
      const memberMetadata = encodeClaims({ topics: ['t'], claims: [], generation: -1 })
      const members = [{ memberId: 'me', memberMetadata }]
      return { generationId: ++this.joins, leaderId: 'me', memberId: 'me', members }
    }
    if (name === 'SyncGroup') {
      return { memberAssignment: (args as Requests['SyncGroup']['args']).groupAssignment[0]?.memberAssignment }
    }
    return {}
  }
}

function memberOf(cluster: ScriptedCluster, sessionTimeoutMs = 30_000) {
  const held: string[] = []
  const lost: string[] = []
  const member = new GroupMember({ group: 'g', topics: ['t'], sessionTimeoutMs }, cluster, connection, {
    onAssigned: (partition) => void held.push(keyOf(partition)),
    onRevoked: async () => {},
    onLost: (partition) => void lost.push(keyOf(partition)),
    onAlive: () => {},
  })
  return { member, held, lost }
}

test('a node that has just started and does not know the topic yet does not leave the group without partitions', async () => {
  const { member, held } = memberOf(new ScriptedCluster([0, 0, 2]))
  const running = member.run()
  await until('assigned', () => held.length > 0)
  expect(held).toEqual(['t/0', 't/1'])
  await member.leave()
  await running
})

test('a topic that is gone ends the member, and is named', async () => {
  const { member } = memberOf(new ScriptedCluster([0]))
  await expect(member.run()).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC', facts: { topic: 't' } })
})

test('a commit that the coordinator sits on does not hold up heartbeats', async () => {
  const sessionTimeoutMs = 300
  const answered = Promise.withResolvers<void>()
  const cluster = new ScriptedCluster([1], async (name) => {
    if (name === 'OffsetCommit') await answered.promise
  })
  const { member, held, lost } = memberOf(cluster, sessionTimeoutMs)
  const running = member.run()
  await until('assigned', () => held.length > 0)
  const committed = member.commit({ topic: 't', partition: 0 }, 1, () => true)
  await sleep(3 * sessionTimeoutMs)
  expect(lost).toEqual([])
  answered.resolve()
  expect(await committed).toBe(true)
  await member.leave()
  await running
})
