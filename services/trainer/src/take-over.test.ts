import { DraftCheckpoint, topics } from '@plateau/contracts'
import type { EventLog, Lease } from '@plateau/event-log'
import { openEmbeddedEventLog } from '@plateau/event-log-embedded'
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { trainerDeadLetters, TRAINER_GROUP } from './dead-letters.js'
import { LEARNED_FROM_NOBODY } from './kinds/learned-from.js'
import { declareTrainerMetrics } from './metrics.js'
import { decodeSnapshot, SNAPSHOT_NAME } from './snapshot.js'
import { openBench, records, Teacher, type Bench, type BenchOptions } from './testing.js'
import { lineageTopics, serveTerms, toldTopics } from './writer-terms.js'

const teacher = new Teacher()
const source = topics.trainingWindows.name

let directory: string
let log: EventLog
const logs: EventLog[] = []
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'plateau-take-over-'))
  log = openLog()
  await log.ensureTopics([topics.trainingWindows, ...toldTopics, ...lineageTopics, trainerDeadLetters])
})
afterEach(async () => {
  await Promise.all(logs.splice(0).map((opened) => opened.close()))
  await rm(directory, { recursive: true, force: true })
})

/** As a process of its own has it open. `nowMs` lets a test stop its clock, and so its heartbeats. */
function openLog(nowMs?: () => number): EventLog {
  const opened = openEmbeddedEventLog(join(directory, 'log'), nowMs === undefined ? {} : { nowMs })
  logs.push(opened)
  return opened
}

interface Life {
  readonly benches: Bench[]
  readonly leases: Lease[]
  readonly stop: AbortController
  readonly ended: Promise<void>
}

/** A trainer's process: it stands by, and writes when it may. */
function begin(on: EventLog, sessionTimeoutMs = 60_000, draft: BenchOptions['draft'] = 'feature-head'): Life {
  const benches: Bench[] = []
  const leases: Lease[] = []
  const stop = new AbortController()
  const ended = serveTerms(
    {
      log: on,
      lineage: 'default',
      sessionTimeoutMs,
      logger: silentLogger,
      metrics: declareTrainerMetrics(new MetricRegistry()),
      usable: () => Promise.resolve(),
      open: async (lease) => {
        leases.push(lease)
        const bench = await openBench(on, join(directory, 'store'), teacher.model, { draft }, { lease })
        benches.push(bench)
        return bench.trainer
      },
    },
    stop.signal,
  )
  ended.catch(() => {})
  return { benches, leases, stop, ended }
}

async function send(from: number, to: number): Promise<void> {
  const producer = log.producer()
  await producer.send(source, all.slice(from, to))
  await producer.close()
}
const all = records(teacher, 's', 120)

/** Until everything in the topic is behind a saved snapshot. */
async function consumed(): Promise<void> {
  await until(async () => {
    const ranges = await log.offsets(source)
    const committed = await log.committed(TRAINER_GROUP, source)
    return ranges.every(({ earliest, next }, i) => next === earliest || committed[i]!.offset >= next)
  })
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const giveUpAt = performance.now() + 20_000; !(await holds()); await sleep(5)) {
    if (performance.now() > giveUpAt) throw new Error('waited 20 s in vain')
  }
}

async function windowsCounted({ store }: Bench): Promise<number> {
  const { windows } = decodeSnapshot((await store.readState('default', SNAPSHOT_NAME))!, 'test')
  return Object.values(windows).reduce((sum, count) => sum + count, 0)
}

async function announcedVersions(): Promise<number[]> {
  const reader = log.reader({ topic: topics.draftCheckpoints.name, from: 'earliest' })
  void reader.caughtUp.then(() => reader.close())
  const versions: number[] = []
  for await (const batch of reader) {
    versions.push(...batch.records.map(({ value }) => DraftCheckpoint.decode(value!).version))
  }
  return versions
}

const states = (): Promise<string[]> => readdir(join(directory, 'store', 'default', 'state'))

test.each(['feature-head', 'causal-lm'] as const)(
  'a %s that stands by continues exactly where the other stopped',
  async (draft) => {
    const first = begin(log, 60_000, draft)
    await send(0, 60)
    await consumed()
    const second = begin(openLog(), 60_000, draft)
    await send(60, 80)
    await consumed()
    expect(second.benches).toEqual([])
    first.stop.abort()
    await first.ended
    await until(() => second.benches.length === 1)
    await send(80, 120)
    await consumed()
    second.stop.abort()
    await second.ended
    expect(await windowsCounted(second.benches[0]!)).toBe(120)
    const versions = await announcedVersions()
    expect(versions).toEqual([...new Set(versions)].toSorted((a, b) => a - b))
    expect(await states()).toEqual(['trainer.safetensors.e0000000002'])
  },
)

/** A log whose heartbeats can be made to look as if their process stood still. */
function stoppableLog() {
  const state = { isStopped: false }
  return { state, log: openLog(() => (state.isStopped ? 0 : Date.now())) }
}

test('what one that was silent for too long still writes is refused, wherever it writes it', async () => {
  const stale = stoppableLog()
  const names = lineageTopics.map(({ name }) => name)
  const lease = await stale.log.lease({ name: 'lineage.default', topics: names, sessionTimeoutMs: 500 })
  const bench = await openBench(stale.log, join(directory, 'store'), teacher.model, {}, { lease })
  const running = bench.trainer.run()
  running.catch(() => {})
  await send(0, 50)
  await consumed()
  stale.state.isStopped = true
  const next = begin(openLog())
  await until(() => next.benches.length === 1)
  const record = { key: 'default', value: Buffer.from('stale'), headers: {} }
  await expect(lease.producer.send(topics.draftCheckpoints.name, [record])).rejects.toMatchObject({
    code: 'WRITER_FENCED',
  })
  const state = bench.store.putState('default', SNAPSHOT_NAME, Buffer.from('stale'), lease.epoch)
  await expect(state).rejects.toMatchObject({ code: 'STATE_FENCED' })
  await expect(running).rejects.toMatchObject({ code: expect.stringMatching(/^(WRITER|STATE)_FENCED$/) as string })
  await send(50, 120)
  await consumed()
  next.stop.abort()
  await next.ended
  expect(await windowsCounted(next.benches[0]!)).toBe(120)
  const versions = await announcedVersions()
  expect(versions).toEqual([...new Set(versions)].toSorted((a, b) => a - b))
})

test('one that was fenced stands by in the same process, and may be the writer again', async () => {
  const stale = stoppableLog()
  const first = begin(stale.log, 500)
  await send(0, 50)
  await consumed()
  stale.state.isStopped = true
  const second = begin(openLog())
  await until(() => second.benches.length === 1)
  await until(() => first.leases[0]!.lost.aborted)
  stale.state.isStopped = false
  await send(50, 100)
  await consumed()
  second.stop.abort()
  await second.ended
  await until(() => first.benches.length === 2)
  await send(100, 120)
  await consumed()
  first.stop.abort()
  await first.ended
  expect(await windowsCounted(first.benches[1]!)).toBe(120)
  expect(first.leases[1]!.epoch).toBeGreaterThan(second.leases[0]!.epoch)
})

test('a version that a fenced writer still left in the store is passed over', async () => {
  const first = begin(log)
  await until(() => first.benches.length === 1)
  const { line, store } = first.benches[0]!
  const facts = { trainedThrough: [], trainedPositions: 1, policy: '', ...LEARNED_FROM_NOBODY }
  const evaluation = { positions: 1, alpha: 0.1, parentAlpha: 0, greedyMatch: 0 }
  // Another process, which does not know yet that it is not the writer.
  const stale = await openBench(log, join(directory, 'store'), teacher.model)
  await stale.line.publish(stale.line.incumbent, { ...facts, evaluation })
  expect(await store.versions('default')).toEqual([1, 2])
  expect(await line.publish(line.incumbent, { ...facts, evaluation })).toBe(3)
  expect(await store.versions('default')).toEqual([1, 2, 3])
  await stale.trainer.close()
  first.stop.abort()
  await first.ended
})

test('a state of another log, whose epochs were higher, ends the process and says so, instead of standing by for ever', async () => {
  for (let terms = 1; terms <= 2; terms++) {
    const life = begin(log)
    await send(0, 1)
    await consumed()
    life.stop.abort()
    await life.ended
  }
  await rm(join(directory, 'log'), { recursive: true })
  await log.close()
  log = openLog()
  await log.ensureTopics([topics.trainingWindows, topics.forgottenTenants, ...lineageTopics, trainerDeadLetters])
  const moved = begin(log)
  await expect(Promise.race([moved.ended, sleep(10_000)])).rejects.toMatchObject({
    code: 'TRAINER_STATE_MISMATCH',
    message: expect.stringContaining('PLATEAU_LINEAGE') as string,
  })
})

test('what ends a term for another reason ends the process', async () => {
  const stop = new AbortController()
  const reason = new Error('damaged')
  const parts = {
    log,
    lineage: 'default',
    sessionTimeoutMs: 60_000,
    logger: silentLogger,
    metrics: declareTrainerMetrics(new MetricRegistry()),
    usable: () => Promise.resolve(),
    open: () => Promise.reject(reason),
  }
  await expect(serveTerms(parts, stop.signal)).rejects.toBe(reason)
  // Its lease is free again.
  const lease = await log.lease({ name: 'lineage.default', topics: [topics.draftCheckpoints.name] })
  expect(lease.epoch).toBe(2)
})
