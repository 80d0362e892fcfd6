import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { unconnected } from '../connection.js'
import { KafkaCluster, type PartitionLeader } from '../kafkajs/kafka-cluster.js'
import { NodeConnection } from '../kafkajs/node-connection.js'
import type { Requests } from '../kafkajs/requests.js'
import { settingsOf } from '../options.js'
import { encodeBatch, stamp } from '../produce/record-batch.js'
import type { FetchedPartition } from './fetch-response.js'
import { Fetcher } from './fetcher.js'

const OFFSET_OUT_OF_RANGE = 1
const NOT_LEADER_FOR_PARTITION = 6
const PATIENCE_MS = 100

const timing = { retryMs: 1, consumePatienceMs: PATIENCE_MS }
const connection = unconnected(settingsOf({ bootstrapServers: ['127.0.0.1:1'], timing }))

/** A node that leads the only partition and answers each fetch with what comes next in the script; then not any more. */
class ScriptedNode extends NodeConnection {
  readonly #script: Partial<FetchedPartition>[]

  constructor(script: Partial<FetchedPartition>[]) {
    super('127.0.0.1', 1, () => Promise.reject(new TypeError('nobody connects')))
    this.#script = script
  }

  override async send<N extends keyof Requests>(): Promise<Requests[N]['answer']> {
    const next = this.#script.shift()
    if (next === undefined) return new Promise(() => {})
    const partition = { topic: 't', partition: 0, errorCode: 0, lastStableOffset: 0, aborted: [], records: NOTHING }
    return { clientSideThrottleTime: 0, errorCode: 0, partitions: [{ ...partition, ...next }] }
  }
}

class ScriptedCluster extends KafkaCluster {
  readonly #node: ScriptedNode

  constructor(script: Partial<FetchedPartition>[]) {
    super(connection.config)
    this.#node = new ScriptedNode(script)
  }

  override async leaders(): Promise<PartitionLeader[]> {
    return [{ partition: 0, leader: { nodeId: 1, host: '127.0.0.1', port: 1 } }]
  }

  override async offsetsAt(): Promise<Map<number, number>> {
    return new Map([[0, 0]])
  }

  override open(): NodeConnection {
    return this.#node
  }
}

const NOTHING = Buffer.alloc(0)

async function oneRecord(offset: number): Promise<Buffer> {
  const record = { key: Buffer.from('k'), value: Buffer.from(`v${offset}`), headers: {}, timestampMs: 0 }
  const batch = await encodeBatch([record], { compression: 'none' })
  stamp(batch, { producerId: 1n, producerEpoch: 0, sequence: 0 })
  batch.writeBigInt64BE(BigInt(offset), 0)
  return batch
}

function feedOf(script: Partial<FetchedPartition>[], position = 0) {
  const fetcher = new Fetcher(new ScriptedCluster(script), connection)
  let changed = Promise.withResolvers<void>()
  const feed = fetcher.feed('t', 0, position, () => changed.resolve())
  const next = async () => {
    for (;;) {
      const fed = await feed.read(10)
      if (fed !== undefined) return fed
      await changed.promise
      changed = Promise.withResolvers()
    }
  }
  return { fetcher, next }
}

test('a partition whose records took long to work on is not given up because its leader moved meanwhile', async () => {
  const { fetcher, next } = feedOf([
    { records: await oneRecord(0), lastStableOffset: 2 },
    { errorCode: NOT_LEADER_FOR_PARTITION },
    { records: await oneRecord(1), lastStableOffset: 2 },
  ])
  await sleep(2 * PATIENCE_MS)
  expect((await next()).records[0]?.offset).toBe(0)
  expect((await next()).records[0]?.offset).toBe(1)
  fetcher.close()
})

test('a log that is shorter than it was is read from its start, and its end is where it is now', async () => {
  const script = [{ errorCode: OFFSET_OUT_OF_RANGE }, { records: await oneRecord(0), lastStableOffset: 1 }]
  const { fetcher, next } = feedOf(script, 17)
  expect(await next()).toMatchObject({ records: [{ offset: 0 }], next: 1, highWatermark: 1 })
  fetcher.close()
})
