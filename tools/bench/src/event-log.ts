/**
 * The event log adapters: throughput against bare kafkajs and Kafka's own tools on one broker in one run, and how long a
 * window takes from the target to a scored record, and from a kept window to a live draft.
 */
import { allTopics, type TopicSpec, topics } from '@plateau/contracts'
import type { EventLog, NewRecord } from '@plateau/event-log'
import { openEmbeddedEventLog } from '@plateau/event-log-embedded'
import { openKafkaEventLog } from '@plateau/event-log-kafka'
import { openBareKafkajs, type BareKafkajs } from '@plateau/event-log-kafka/bare-kafkajs'
import { resolveKafka, runKafkaTool, startBroker, type KafkaBroker } from '@plateau/kafka-dev'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measureFreshness, type Freshness } from './freshness.js'

const RECORD_BYTES = 1024
const PER_SEND = 500
/** Sends under way at once. An idempotent kafkajs producer allows one (more lose records). */
const CONCURRENT = 4

/** Seconds for the records of one round, by what moved them. */
interface Contestant {
  readonly name: string
  produce(topic: string, records: number): Promise<number>
  consume(topic: string, records: number): Promise<number>
}

export async function benchEventLog(args: readonly string[]): Promise<object> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      records: { type: 'string', default: '60000' },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '40' },
    },
  })
  const directory = await mkdtemp(join(tmpdir(), 'plateau-event-log-'))
  await resolveKafka()
  const broker = await startBroker({ directory: join(directory, 'kafka') })
  try {
    const throughput = await measureThroughput(broker, directory, Number(values.records), Number(values.rounds))
    showThroughput(throughput)
    const freshness = await measureFreshness(broker, join(directory, 'loop'), Number(values.seconds))
    showFreshness(freshness)
    const bare = ['kafkajs', 'kafkajs idempotent'].map((name) => throughput.find((row) => row.name === name)!)
    const adapter = throughput.find((row) => row.name === 'adapter')!
    return {
      overBareKafkajs: {
        produce: adapter.produce / Math.max(...bare.map((row) => row.produce)),
        consume: adapter.consume / Math.max(...bare.map((row) => row.consume)),
      },
      recordsPerSecond: Object.fromEntries(
        throughput.map(({ name, produce, consume }) => [name, { produce, consume }]),
      ),
      ...freshness,
    }
  } finally {
    await broker.destroy()
    await rm(directory, { recursive: true, force: true })
  }
}

interface Row {
  readonly name: string
  /** Records a second, median of the rounds. */
  readonly produce: number
  readonly consume: number
}

/** Everyone in turn, in every round, so that a slow moment of the machine meets all of them. */
async function measureThroughput(broker: KafkaBroker, directory: string, records: number, rounds: number) {
  const kafka = await openKafkaEventLog({ bootstrapServers: broker.bootstrapServers, replication: 1 })
  const embedded = openEmbeddedEventLog(join(directory, 'embedded'))
  const bare = await openBareKafkajs(broker.bootstrapServers, { idempotent: false })
  const idempotent = await openBareKafkajs(broker.bootstrapServers, { idempotent: true })
  const contestants: Contestant[] = [
    ofLog('adapter', kafka),
    ofKafkajs('kafkajs', bare, CONCURRENT),
    ofKafkajs('kafkajs idempotent', idempotent, 1),
    ofKafkaTools(broker),
    ofLog('embedded log', embedded),
  ]
  const rates = contestants.map(() => ({ produce: [] as number[], consume: [] as number[] }))
  try {
    for (let round = -1; round < rounds; round++) {
      for (const [i, contestant] of contestants.entries()) {
        const spec = benchTopic(`bench.${i}.${round + 1}`)
        await Promise.all([kafka.ensureTopics([spec]), embedded.ensureTopics([spec])])
        const produceSeconds = await contestant.produce(spec.name, records)
        const consumeSeconds = await contestant.consume(spec.name, records)
        // The first round warms up compilers and page caches.
        if (round < 0) continue
        rates[i]!.produce.push(records / produceSeconds)
        rates[i]!.consume.push(records / consumeSeconds)
      }
    }
  } finally {
    await Promise.all([kafka.close(), embedded.close(), bare.close(), idempotent.close()])
  }
  return contestants.map(({ name }, i): Row => ({
    name,
    produce: median(rates[i]!.produce),
    consume: median(rates[i]!.consume),
  }))
}

function ofLog(name: string, log: EventLog): Contestant {
  const producer = log.producer()
  return {
    name,
    produce: produceWith(async (topic, records) => void (await producer.send(topic, records)), CONCURRENT),
    consume: async (topic, records) => {
      const consumer = log.consumer({ group: `bench-${topic}`, topics: [topic], maxBatchRecords: PER_SEND })
      let left = records
      let startMs: number | undefined
      const done = Promise.withResolvers<number>()
      const running = consumer.run(async (batch) => {
        startMs ??= performance.now()
        left -= batch.records.length
        if (left <= 0) done.resolve((performance.now() - startMs) / 1000)
      })
      const seconds = await Promise.race([done.promise, running.then(() => Number.NaN)])
      await consumer.close()
      return seconds
    },
  }
}

function ofKafkajs(name: string, client: BareKafkajs, concurrent: number): Contestant {
  return {
    name,
    produce: produceWith((topic, records) => client.send(topic, records), concurrent),
    consume: (topic, records) => client.consume(topic, records),
  }
}

function produceWith(send: (topic: string, records: readonly ValuedRecord[]) => Promise<void>, concurrent: number) {
  return async (topic: string, records: number): Promise<number> => {
    const sends = Math.ceil(records / PER_SEND)
    let next = 0
    const startMs = performance.now()
    const sender = async (): Promise<void> => {
      while (next < sends) await send(topic, chunk(next++))
    }
    await Promise.all(Array.from({ length: concurrent }, sender))
    return (performance.now() - startMs) / 1000
  }
}

type ValuedRecord = NewRecord & { readonly value: Uint8Array }

/** Different bytes in every record, and a key that spreads over the partitions. */
function chunk(index: number): ValuedRecord[] {
  return Array.from({ length: PER_SEND }, (_, i) => {
    const value = Buffer.alloc(RECORD_BYTES, (index + i) & 255)
    value.writeUInt32LE(index * PER_SEND + i, 0)
    return { key: `sample-${index * PER_SEND + i}`, value, headers: {} }
  })
}

/** ProducerPerformance and ConsumerPerformance, which come with Kafka: a Java client's figures, start-up not counted. */
function ofKafkaTools({ bootstrap }: KafkaBroker): Contestant {
  return {
    name: 'Kafka perf tools',
    produce: async (topic, records) => {
      const output = await runKafkaTool('org.apache.kafka.tools.ProducerPerformance', [
        ...flags({ topic, 'num-records': records, 'record-size': RECORD_BYTES, throughput: -1 }),
        '--producer-props',
        `bootstrap.servers=${bootstrap}`,
        'acks=all',
      ])
      const rate = /([\d.]+) records\/sec/g
      return records / Number([...output.matchAll(rate)].at(-1)![1])
    },
    consume: async (topic, records) => {
      const args = { topic, 'bootstrap-server': bootstrap, messages: records, group: `perf-${topic}`, timeout: 30_000 }
      const output = await runKafkaTool('org.apache.kafka.tools.ConsumerPerformance', flags(args))
      // Its columns, by name: fetch.nMsg.sec leaves the time for joining the group out.
      const lines = output.trim().split('\n').slice(-2)
      const [names, cells] = lines.map((line) => line.split(',').map((cell) => cell.trim())) as [string[], string[]]
      return records / Number(cells[names.indexOf('fetch.nMsg.sec')])
    },
  }
}

const flags = (values: Readonly<Record<string, string | number>>): string[] =>
  Object.entries(values).flatMap(([name, value]) => [`--${name}`, String(value)])

function benchTopic(name: string): TopicSpec {
  return {
    ...(allTopics.find((topic) => topic.name === topics.tokenDistributions.name) as TopicSpec),
    name,
    replication: 1,
    minInSyncReplicas: 1,
  }
}

function showThroughput(rows: readonly Row[]): void {
  const adapter = rows[0]!
  console.log(`${RECORD_BYTES}-byte records, ${PER_SEND} a send, 4 partitions, one broker, acks all\n`)
  console.log(`${''.padEnd(20)}${'produce/s'.padStart(12)}${'consume/s'.padStart(12)}${'adapter over it'.padStart(20)}`)
  for (const { name, produce, consume } of rows) {
    const over = `${(adapter.produce / produce).toFixed(2)} / ${(adapter.consume / consume).toFixed(2)}`
    console.log(
      `${name.padEnd(20)}${produce.toFixed(0).padStart(12)}${consume.toFixed(0).padStart(12)}${over.padStart(20)}`,
    )
  }
}

function showFreshness({ capturedToScoredMs, keptToLiveMs, windows, versions }: Freshness): void {
  console.log(`\nthe demo's loop on the same broker: ${windows} windows, ${versions} versions`)
  console.log(`captured to scored record   p50 ${ms(capturedToScoredMs.p50)}   p99 ${ms(capturedToScoredMs.p99)}`)
  console.log(`kept window to live draft   p50 ${ms(keptToLiveMs.p50)}   p99 ${ms(keptToLiveMs.p99)}`)
}

const ms = (value: number): string => `${value.toFixed(0)} ms`

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1]!
}
