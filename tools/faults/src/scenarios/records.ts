import { deadLetterTopic, groups, topics, type TopicSpec } from '@plateau/contracts'
import { readUpToNow, type EventLog, type LogRecord, type NewRecord } from '@plateau/event-log'
import { runKafkaTool } from '@plateau/kafka-dev'
import { metricSum } from '@plateau/demo'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Scenario } from '../scenario.js'
import type { Stage } from '../stage.js'

const POISON = 12
const STOPPED_MS = 4000

const source: TopicSpec = topics.tokenDistributions as unknown as TopicSpec

/** What happens to records. */
export const recordScenarios: readonly Scenario[] = [
  {
    name: 'poison-records',
    summary: `${POISON} records that nobody can use, between those of the workload`,
    topology: 'one broker',
    short: true,
    run: async ({ log, workload }) => {
      const deadLetters = deadLetterTopic(source, groups.scorer).name
      const before = (await readNow(log, deadLetters)).length
      const producer = log.producer()
      for (let i = 0; i < POISON; i++) {
        const good = await workload.sendOne()
        await producer.send(source.name, [damaged(good, i)])
      }
      await producer.close()
      const deadLettered = await until(async () => {
        const found = (await readNow(log, deadLetters)).length - before
        return found >= POISON ? found : undefined
      })
      if (deadLettered !== POISON) throw new Error(`${deadLettered} of ${POISON} poison records are dead letters`)
      return { figures: { deadLettered } }
    },
  },
  {
    name: 'duplicate-delivery',
    summary: 'recent records are appended a second time, and the scorer is set back to the beginning',
    topology: 'one broker',
    short: true,
    run: async ({ log, cluster }) => {
      const recent = (await readNow(log, source.name)).slice(-40)
      const producer = log.producer()
      await producer.send(source.name, recent)
      await producer.close()
      await sleep(1000)
      await cluster.terminate('flatness-scorer')
      const ranges = await log.offsets(source.name)
      await log.commit(
        groups.scorer,
        source.name,
        ranges.map(({ partition, earliest }) => ({ partition, offset: earliest })),
      )
      cluster.launch('flatness-scorer')
      await cluster.ready('flatness-scorer')
      return { figures: { appendedTwice: recent.length } }
    },
  },
  {
    name: 'retention-overtakes',
    summary: 'the scorer stops, and records it has not read expire',
    topology: 'one broker',
    short: true,
    run: async (stage) => {
      const { log, cluster, workload } = stage
      await cluster.terminate('flatness-scorer')
      const committed = await log.committed(groups.scorer, source.name)
      const from = workload.acknowledged.length
      while (workload.acknowledged.length < from + 60) await sleep(100)
      // Half of what waits goes; the workload goes on meanwhile.
      const ends = await log.offsets(source.name)
      const upTo = ends.map(({ partition, next }) => {
        const read = committed.find((at) => at.partition === partition)!.offset
        return { partition, from: Math.max(0, read), offset: Math.floor((Math.max(0, read) + next) / 2) }
      })
      const gone = (await readNow(log, source.name)).filter(({ partition, offset }) => {
        const range = upTo[partition]!
        return offset >= range.from && offset < range.offset
      })
      await expire(stage, upTo)
      await sleep(STOPPED_MS)
      cluster.launch('flatness-scorer')
      await cluster.ready('flatness-scorer')
      const counted = await until(async () => {
        const value = await metricSum(cluster.opsUrl('flatness-scorer'), 'plateau_consumer_expired_records_total')
        return value > 0 ? value : undefined
      })
      if (counted !== gone.length) throw new Error(`${gone.length} records expired, the scorer says ${counted}`)
      return { expired: gone.map(({ key }) => key), figures: { expired: gone.length } }
    },
  },
]

/** The same record with something wrong, each time something else. */
function damaged(good: NewRecord, turn: number): NewRecord {
  const value = Buffer.from(good.value!)
  const headers = { ...good.headers, ce_id: `poison:${turn}:${good.headers['ce_id']}` }
  switch (turn % 4) {
    case 0:
      return { ...good, headers, value: Buffer.from('this is no TokenWindow') }
    case 1:
      return { ...good, headers, value: value.subarray(0, Math.floor(value.length / 2)) }
    case 2:
      return { ...good, headers: { 'content-type': 'text/plain' } }
    default:
      return { ...good, headers, value: new Uint8Array(0) }
  }
}

/** Deletes everything below these offsets, as retention would. */
async function expire({ broker, directory }: Stage, upTo: readonly { partition: number; offset: number }[]) {
  const file = join(directory, 'delete-records.json')
  const partitions = upTo.map(({ partition, offset }) => ({ topic: source.name, partition, offset }))
  await writeFile(file, JSON.stringify({ version: 1, partitions }))
  const args = ['--bootstrap-server', broker.bootstrap, '--offset-json-file', file]
  await runKafkaTool('org.apache.kafka.tools.DeleteRecordsCommand', args)
}

/** What a topic holds now. */
async function readNow(log: EventLog, topic: string): Promise<LogRecord[]> {
  const found: LogRecord[] = []
  for await (const { records } of readUpToNow(log.reader({ topic, from: 'earliest' }))) found.push(...records)
  return found
}

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < 150; tries++) {
    const found = await look()
    if (found !== undefined) return found
    await sleep(200)
  }
  throw new Error('what the scenario waits for did not happen within 30 s')
}
