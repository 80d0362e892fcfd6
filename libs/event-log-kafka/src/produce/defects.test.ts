import { setTimeout as sleep } from 'node:timers/promises'
import net from 'node:net'
import type { EventLog } from '@plateau/event-log'
import { type KafkaCluster, startCluster } from '@plateau/kafka-dev'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import kafkajs, { type Producer, type RetryOptions } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKafkaEventLog } from '../open-kafka-event-log.js'
import type { KafkaTiming } from '../options.js'
import { AnswerThief } from '../testing/answer-thief.js'
import { topicOf } from '../testing/topic-of.js'

const START_MS = 180_000
const TEST_MS = 120_000
const OUT_OF_ORDER_SEQUENCE_NUMBER = 45
/** kafkajs tuned for quick failover, so that the adapter and kafkajs differ in nothing but how they send. */
const TUNED = { initialRetryTime: 100, multiplier: 1.5, maxRetryTime: 1000, retries: 100 }

/** What a program that sends numbered values has been told, and what is in the log. */
interface Tally {
  readonly acknowledged: number
  readonly lost: number
  readonly doubled: number
  readonly rejected: number
}

type Send = (values: readonly string[]) => Promise<unknown>

/**
 * D1-D3: three ways in which kafkajs's idempotent producer tells its caller that records are in the log when they are
 * not, or writes them twice. Each fault hits bare kafkajs and the adapter alike, on three brokers with acks from all.
 */
describeWithKafka('under faults that make kafkajs lose acknowledged records', () => {
  let cluster: KafkaCluster
  let thief: AnswerThief
  let through: ReadonlyMap<number, number>
  let log: EventLog
  let topics = 0

  const openLog = (timing: Partial<KafkaTiming> = {}) =>
    openKafkaEventLog({
      bootstrapServers: cluster.bootstrapServers,
      addressOf: ({ host, port }) => ({ host, port: through.get(port) ?? port }),
      timing,
    })

  const newTopic = async (partitions: number): Promise<string> => {
    const name = `defects.${topics++}`
    await log.ensureTopics([topicOf(name, { partitions, replication: 3, minInSyncReplicas: 2 })])
    return name
  }

  const bareProducer = async (retry: RetryOptions): Promise<Producer> => {
    const kafka = new kafkajs.Kafka({
      brokers: [...cluster.bootstrapServers],
      connectionTimeout: 1000,
      requestTimeout: 5000,
      retry,
      logLevel: kafkajs.logLevel.NOTHING,
      socketFactory: ({ host, port, onConnect }) => net.connect(through.get(port) ?? port, host, onConnect),
    })
    const producer = kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    })
    await producer.connect()
    return producer
  }

  const countIn = async (topic: string): Promise<Map<string, number>> => {
    const counts = new Map<string, number>()
    const reader = log.reader({ topic, from: 'earliest' })
    const reading = (async () => {
      for await (const { records } of reader) {
        for (const { value } of records) {
          const text = Buffer.from(value ?? '').toString()
          counts.set(text, (counts.get(text) ?? 0) + 1)
        }
      }
    })()
    await reader.caughtUp
    await reader.close()
    await reading
    return counts
  }

  const tally = async (topic: string, acknowledged: Iterable<string>, rejected: number): Promise<Tally> => {
    const counts = await countIn(topic)
    const told = [...acknowledged]
    return {
      acknowledged: told.length,
      lost: told.filter((value) => !counts.has(value)).length,
      doubled: [...counts.values()].filter((count) => count > 1).length,
      rejected,
    }
  }

  beforeAll(async () => {
    cluster = await startCluster()
    thief = new AnswerThief()
    const ports = cluster.brokers.map(
      async ({ port }) => [port, await thief.portTo({ host: '127.0.0.1', port })] as const,
    )
    through = new Map(await Promise.all(ports))
    log = await openLog()
  }, START_MS)

  afterAll(async () => {
    await log?.close()
    await thief?.close()
    await cluster?.destroy()
  }, START_MS)

  test(
    'D1: one send over several leaders, and one of them is killed',
    async () => {
      const topic = { bare: await newTopic(6), adapter: await newTopic(6) }
      const bare = await bareProducer(TUNED)
      const producer = log.producer()
      const sends: Record<keyof typeof topic, Send> = {
        bare: (values) =>
          bare.send({ topic: topic.bare, acks: -1, messages: values.map((value) => ({ key: value, value })) }),
        adapter: (values) => producer.send(topic.adapter, values.map(recordOf)),
      }
      const load = { bare: keepSending(sends.bare), adapter: keepSending(sends.adapter) }
      await sleep(2000)
      const victim = cluster.brokers[2]!
      // So that the others have answered a send, and it has not, when it dies.
      thief.hold(victim.port)
      await sleep(1500)
      await victim.kill9()
      thief.letPass()
      await sleep(6000)
      await victim.start()
      await sleep(3000)
      const bareTold = await load.bare.stop()
      const told = await load.adapter.stop()
      const result = {
        bare: await tally(topic.bare, bareTold.acknowledged, bareTold.rejected),
        adapter: await tally(topic.adapter, told.acknowledged, told.rejected),
      }
      report('D1 a broker of three is killed', result)
      await bare.disconnect()
      // Its partitions went to brokers that had answered for others already: kafkajs does not ask them again.
      expect(result.bare.lost).toBeGreaterThan(0)
      expect(result.adapter).toMatchObject({ lost: 0, doubled: 0, rejected: 0 })
      expect(result.adapter.acknowledged).toBeGreaterThan(0)
    },
    TEST_MS,
  )

  test(
    'D2: the answer is lost, the send rejected, and the caller goes on',
    async () => {
      const topic = { bare: await newTopic(1), adapter: await newTopic(1), impatient: await newTopic(1) }
      const bare = await bareProducer({ retries: 1, initialRetryTime: 50 })
      const impatientLog = await openLog({ deliveryTimeoutMs: 1 })
      const producers = { adapter: log.producer(), impatient: impatientLog.producer() }
      const sends: Record<keyof typeof topic, Send> = {
        bare: (values) => bare.send({ topic: topic.bare, acks: -1, messages: values.map((value) => ({ value })) }),
        adapter: (values) => producers.adapter.send(topic.adapter, values.map(recordOf)),
        impatient: (values) => producers.impatient.send(topic.impatient, values.map(recordOf)),
      }
      const result: Record<string, Tally> = {}
      for (const who of ['bare', 'adapter', 'impatient'] as const) {
        const acknowledged: string[] = []
        let rejected = 0
        const send = async (...values: string[]) => {
          await sends[who](values).then(
            () => acknowledged.push(...values),
            () => rejected++,
          )
        }
        await send('m1')
        thief.steal(2)
        await send('m2')
        thief.steal(0)
        await send('m3')
        await send('m4', 'm5')
        await send('m6')
        result[who] = await tally(topic[who], acknowledged, rejected)
      }
      report('D2 two answers are lost', result)
      await bare.disconnect()
      await impatientLog.close()
      // The number of the rejected message goes to the next one, which the broker takes for a repetition.
      expect(result['bare']).toMatchObject({ rejected: 1, lost: 1 })
      expect(result['adapter']).toEqual({ acknowledged: 6, lost: 0, doubled: 0, rejected: 0 })
      expect(result['impatient']).toEqual({ acknowledged: 5, lost: 0, doubled: 0, rejected: 1 })
    },
    TEST_MS,
  )

  test(
    'D3: several sends at once while answers are lost',
    async () => {
      const topic = { bare: await newTopic(1), adapter: await newTopic(1) }
      const bare = await bareProducer({ ...TUNED, retries: 3 })
      const producer = log.producer()
      const sends: Record<keyof typeof topic, Send> = {
        bare: (values) => bare.send({ topic: topic.bare, acks: -1, messages: values.map((value) => ({ value })) }),
        adapter: (values) => producer.send(topic.adapter, values.map(recordOf)),
      }
      const result: Record<string, Tally> = {}
      for (const who of ['bare', 'adapter'] as const) {
        const load = keepSending(sends[who], { concurrency: 8 })
        for (let i = 0; i < 6; i++) {
          await sleep(150)
          thief.steal(2)
        }
        await sleep(500)
        thief.steal(0)
        const { acknowledged, rejected } = await load.stop()
        result[who] = await tally(topic[who], acknowledged, rejected)
      }
      report('D3 concurrent sends, answers lost', result)
      await bare.disconnect()
      expect(result['adapter']).toMatchObject({ lost: 0, doubled: 0, rejected: 0 })
      expect(result['adapter']!.acknowledged).toBeGreaterThan(0)
      expect(thief.stolen).toBeGreaterThan(0)
    },
    TEST_MS,
  )

  test(
    'a broker that has lost track of the writer: the batch in hand may be there twice, and nothing else',
    async () => {
      const topic = await newTopic(1)
      const producer = log.producer()
      const values = ['m1', 'm2', 'm3', 'm4']
      for (const value of values) {
        if (value === 'm2') thief.falsify(OUT_OF_ORDER_SEQUENCE_NUMBER)
        await producer.send(topic, [recordOf(value)])
      }
      expect([...(await countIn(topic))]).toEqual([
        ['m1', 1],
        ['m2', 2],
        ['m3', 1],
        ['m4', 1],
      ])
    },
    TEST_MS,
  )
})

function recordOf(value: string) {
  return { key: value, value: Buffer.from(value), headers: {} }
}

interface Load {
  /** Ends the load; what does not settle within ten seconds is left behind, told nothing. */
  stop(): Promise<{ acknowledged: ReadonlySet<string>; rejected: number }>
}

/** Sends values that count up, twelve at a time. Goes on with the next ones after a rejection, as a caller that sheds does. */
function keepSending(send: Send, { concurrency = 1 } = {}): Load {
  const acknowledged = new Set<string>()
  let rejected = 0
  let next = 0
  let isStopped = false
  const worker = async () => {
    while (!isStopped) {
      const values = Array.from({ length: 12 }, () => `v${next++}`)
      await send(values).then(
        () => values.forEach((value) => acknowledged.add(value)),
        () => rejected++,
      )
      await sleep(3)
    }
  }
  const workers = Promise.all(Array.from({ length: concurrency }, worker))
  return {
    async stop() {
      isStopped = true
      await Promise.race([workers, sleep(10_000)])
      return { acknowledged, rejected }
    },
  }
}

/** The figures are the point of this suite: they go to the terminal, whatever the reporter. */
function report(what: string, result: Readonly<Record<string, Tally>>): void {
  for (const [who, { acknowledged, lost, doubled, rejected }] of Object.entries(result)) {
    process.stderr.write(
      `${what}: ${who}: ${acknowledged} acknowledged, ${lost} lost, ${doubled} doubled, ${rejected} sends rejected\n`,
    )
  }
}
