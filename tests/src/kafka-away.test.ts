import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, type ProcessName, readPrompts } from '@plateau/demo'
import { type KafkaBroker, startBroker } from '@plateau/kafka-dev'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Clients } from './clients.js'
import { demoModel, tinyModel } from './models.js'
import { until } from './until.js'

const consumers = ['flatness-scorer', 'trainer', 'trainer#2'] as const
const PATIENCE_SECONDS = 12

const startOn = ({ bootstrap }: KafkaBroker, directory: string): Promise<Cluster> =>
  Cluster.start({
    directory,
    model: tinyModel,
    services: ['target-model', ...consumers, 'serving'],
    eventLog: {
      PLATEAU_EVENT_LOG: `kafka:${bootstrap}`,
      PLATEAU_KAFKA_REPLICATION: '1',
      PLATEAU_KAFKA_PATIENCE_SECONDS: String(PATIENCE_SECONDS),
    },
    env: { trainer: { PLATEAU_SNAPSHOT_SECONDS: '1', PLATEAU_WRITER_TIMEOUT_SECONDS: '6' } },
  })

describeWithKafka('Kafka away for good', () => {
  const directory = mkdtempSync(join(tmpdir(), 'plateau-kafka-away-'))
  let broker: KafkaBroker
  let cluster: Cluster
  let clients: Clients
  let notReady: ReadonlyMap<ProcessName, string>
  let answeredWhileAway: number
  let isReadyWhileAway: readonly boolean[]
  let drained: Readonly<Record<string, { readonly code: number | string; readonly seconds: number }>>

  const readiness = async (name: ProcessName): Promise<{ readonly ok: boolean; readonly text: string }> => {
    const answer = await fetch(`${cluster.opsUrl(name)}/readyz`)
    return { ok: answer.ok, text: await answer.text() }
  }

  beforeAll(async () => {
    broker = await startBroker()
    cluster = await startOn(broker, directory)
    clients = new Clients([cluster.httpUrl], readPrompts(demoModel, 'sotu').prompts, 2)
    await until(async () => (clients.answered > 20 ? true : undefined), 60_000)
    await broker.kill9()
    const seen = new Map<ProcessName, string>()
    await until(async () => {
      for (const name of consumers) {
        const answer = cluster.isRunning(name) ? await readiness(name).catch(() => undefined) : undefined
        if (answer !== undefined && !answer.ok && !seen.has(name)) seen.set(name, answer.text)
      }
      return consumers.some((name) => cluster.isRunning(name)) ? undefined : true
    }, 120_000)
    notReady = seen
    const before = clients.answered
    await sleep(2000)
    answeredWhileAway = clients.answered - before
    isReadyWhileAway = [(await readiness('target-model')).ok, (await readiness('serving')).ok]
    await clients.stop()
    const end = async (name: ProcessName) => {
      const startedMs = performance.now()
      return { code: await cluster.terminate(name), seconds: (performance.now() - startedMs) / 1000 }
    }
    drained = { serving: await end('serving'), 'target-model': await end('target-model') }
  }, 300_000)

  afterAll(async () => {
    await cluster?.stop()
    await broker?.destroy()
    rmSync(directory, { recursive: true, force: true })
  })

  interface LogLine {
    readonly level: string
    readonly message: string
    readonly exitCode?: number
    readonly error?: { readonly code: string }
  }
  const logged = (name: ProcessName) =>
    readFileSync(cluster.logFile(name), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogLine)

  for (const name of consumers) {
    test(`the ${name} says that it is not ready and why, then ends with one line that says so`, () => {
      expect(notReady.get(name)).toContain('event log')
      const fatal = logged(name).filter(({ level }) => level === 'fatal')
      expect(fatal.map(({ error }) => error?.code)).toEqual(['LOG_UNAVAILABLE'])
      expect(logged(name).at(-1)).toMatchObject({ message: 'stopped', exitCode: 1 })
    })
  }

  test('target-model and serving answer on, ready, and no request fails', () => {
    expect(answeredWhileAway).toBeGreaterThan(0)
    expect(isReadyWhileAway).toEqual([true, true])
    expect(clients.reasons).toEqual([])
  })

  test('both drain within their bound, with nobody to flush to', () => {
    expect(drained).toMatchObject({ serving: { code: 0 }, 'target-model': { code: 0 } })
  })
})

describeWithKafka('a shutdown while Kafka is away', () => {
  const directory = mkdtempSync(join(tmpdir(), 'plateau-kafka-away-'))
  let broker: KafkaBroker
  let cluster: Cluster

  beforeAll(async () => {
    broker = await startBroker()
    cluster = await startOn(broker, directory)
  })
  afterAll(async () => {
    await cluster?.stop()
    await broker?.destroy()
    rmSync(directory, { recursive: true, force: true })
  })

  test('is clean in every service, whatever it still had to say', async () => {
    const clients = new Clients([cluster.httpUrl], readPrompts(demoModel, 'sotu').prompts, 2)
    await until(async () => (clients.answered > 20 ? true : undefined), 60_000)
    await broker.kill9()
    // Each has something in hand that nobody takes.
    const answered = clients.answered
    await until(async () => (clients.answered > answered + 5 ? true : undefined), 60_000)
    await clients.stop()
    const ended = cluster.processes.map(async (name) => [name, await cluster.terminate(name)] as const)
    const clean = cluster.processes.map((name) => [name, 0])
    expect(Object.fromEntries(await Promise.all(ended))).toEqual(Object.fromEntries(clean))
  })
})
