import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Acceptance, DraftCheckpoint, topics } from '@plateau/contracts'
import { Cluster, type ProcessName, readPrompts } from '@plateau/demo'
import { type KafkaBroker, startBroker } from '@plateau/kafka-dev'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { caughtUp } from './caught-up.js'
import { Clients } from './clients.js'
import { readLedger, type Ledger } from './ledger.js'
import { demoModel, tinyModel } from './models.js'
import { readAll } from './read-all.js'
import { until } from './until.js'

const twoOfEach = ['target-model', 'flatness-scorer', 'trainer', 'serving'].flatMap((name) => [
  name,
  `${name}#2`,
]) as ProcessName[]

describe('two of each service on the embedded log', () => {
  twoOfEachFacts(async () => ({ eventLog: undefined, close: async () => {} }))
})

describeWithKafka('two of each service on Kafka', () => {
  twoOfEachFacts(async () => {
    const broker: KafkaBroker = await startBroker()
    const eventLog = { PLATEAU_EVENT_LOG: `kafka:${broker.bootstrap}`, PLATEAU_KAFKA_REPLICATION: '1' }
    return { eventLog, close: () => broker.destroy() }
  })
})

interface Log {
  readonly eventLog: Readonly<Record<string, string>> | undefined
  readonly close: () => Promise<void>
}

/** Clients ask both servings, while a scorer and the writing trainer are killed. */
function twoOfEachFacts(openLog: () => Promise<Log>): void {
  const directory = mkdtempSync(join(tmpdir(), 'plateau-scale-out-'))
  let log: Log
  let cluster: Cluster
  let clients: Clients
  let ledger: Ledger
  let writers: readonly ProcessName[]
  let servers: ReadonlySet<string>
  let versions: readonly number[]

  const writer = async (): Promise<ProcessName | undefined> => {
    for (const name of ['trainer', 'trainer#2'] as const) {
      if (!cluster.isRunning(name)) continue
      const metrics = await (await fetch(`${cluster.opsUrl(name)}/metrics`)).text()
      if (/plateau_trainer_role\{[^}]*role="writer"[^}]*\} 1/.test(metrics)) return name
    }
    return undefined
  }

  beforeAll(async () => {
    log = await openLog()
    cluster = await Cluster.start({
      directory,
      model: tinyModel,
      services: twoOfEach,
      ...(log.eventLog === undefined ? {} : { eventLog: log.eventLog }),
      env: { trainer: { PLATEAU_SNAPSHOT_SECONDS: '1', PLATEAU_WRITER_TIMEOUT_SECONDS: '6' } },
    })
    const first = await until(writer, 60_000)
    const urls = [cluster.httpUrlOf('serving'), cluster.httpUrlOf('serving#2')]
    clients = new Clients(urls, readPrompts(demoModel, 'sotu').prompts, 4)
    await sleep(4000)
    await cluster.kill9('flatness-scorer#2')
    await cluster.kill9(first)
    const second = await until(writer, 60_000)
    writers = [first, second]
    await sleep(3000)
    await clients.stop()
    await caughtUp(cluster)
    await cluster.stop()
    const eventLog = await cluster.openEventLog()
    const acceptance = await readAll(eventLog, topics.acceptance.name)
    servers = new Set(acceptance.map(({ value }) => Acceptance.decode(value!).server))
    const announced = await readAll(eventLog, topics.draftCheckpoints.name)
    versions = announced.map(({ value }) => DraftCheckpoint.decode(value!).version)
    await eventLog.close()
    ledger = await readLedger(cluster)
  }, 300_000)

  afterAll(async () => {
    await cluster?.stop()
    await log.close()
    rmSync(directory, { recursive: true, force: true })
  })

  test('no request fails: neither scorers nor trainers are needed to answer', () => {
    expect(clients.answered).toBeGreaterThan(20)
    expect(clients.failedAtMs).toEqual([])
  })

  test('every captured window has exactly one decision, whichever scorer had its partition', () => {
    expect(ledger.captured.size).toBeGreaterThan(20)
    expect([...ledger.captured].filter((window) => !ledger.decisions.has(window))).toEqual([])
    expect([...ledger.decisions].filter(([, decisions]) => decisions.size !== 1)).toEqual([])
  })

  test('the second trainer took over, and between them they took every window once', () => {
    expect(new Set(writers).size).toBe(2)
    expect(ledger.inTrainer).toEqual(ledger.inTopic)
  })

  test('the versions of both are one line: none announced twice, each higher than the one before', () => {
    expect(versions.length).toBeGreaterThan(1)
    expect(versions).toEqual([...new Set(versions)].toSorted((a, b) => a - b))
  })

  test('each serving reports under a name of its own', () => {
    expect(servers.size).toBe(2)
  })
}
