import { DraftCheckpoint, encodeHeaders, PlateauError, topics } from '@plateau/contracts'
import type { Batch, EventLog, NewRecord, Reader } from '@plateau/event-log'
import type { Draft } from '@plateau/speculation'
import { silentLogger } from '@plateau/telemetry'
import { expect, it } from 'vitest'
import type { DraftHolder } from './draft-holder.js'
import { DraftWatcher } from './draft-watcher.js'

type Feed = NewRecord | PlateauError

/** A log whose readers hand over the given records, each reader the next list; an error among them breaks it off. */
function logOf(...readers: readonly (readonly Feed[])[]): EventLog {
  let opened = 0
  const reader = (): Reader => {
    const feed = readers[opened++] ?? []
    const closed = Promise.withResolvers<void>()
    async function* batches(): AsyncGenerator<Batch> {
      for (const [offset, item] of feed.entries()) {
        if (item instanceof PlateauError) throw item
        const topic = topics.draftCheckpoints.name
        const record = { ...item, topic, partition: 0, offset, timestampMs: 0 }
        yield { topic, partition: 0, records: [record], highWatermark: feed.length }
      }
      await closed.promise
    }
    return {
      [Symbol.asyncIterator]: () => batches(),
      caughtUp: Promise.resolve(),
      close: async () => closed.resolve(),
    }
  }
  return { reader } as unknown as EventLog
}

function announcement(version: number, change: Partial<DraftCheckpoint> = {}): NewRecord {
  const message = DraftCheckpoint.fromPartial({ schemaVersion: 1, lineage: 'default', version, ...change })
  return {
    key: 'default',
    value: DraftCheckpoint.encode(message).finish(),
    headers: encodeHeaders({
      id: `default/${version}`,
      source: '/plateau/trainer',
      type: topics.draftCheckpoints.messageType,
      timeMs: 0,
    }),
  }
}

function watching(log: EventLog) {
  const loaded: number[] = []
  let live = 0
  let rejected = 0
  const holder = {
    get liveVersion() {
      return live
    },
    swap: (_draft: Draft, version: number) => (live = version),
  } as unknown as DraftHolder
  const watcher = new DraftWatcher({
    lineage: 'default',
    eventLog: log,
    holder,
    load: async ({ version }) => {
      loaded.push(version)
      return {} as Draft
    },
    report: () => {},
    onRejected: () => rejected++,
    logger: silentLogger,
    clock: Date.now,
  })
  const running = watcher.run()
  running.catch(() => {})
  return { watcher, running, loaded, live: () => live, rejected: () => rejected }
}

const good = announcement(2)

it.each<[string, NewRecord]>([
  ['that is cut short', { ...good, value: good.value!.subarray(0, 5) }],
  ['of random bytes', { ...good, value: Buffer.from([255, 255, 255, 1]) }],
  ['without headers', { ...good, headers: {} }],
  ['of another message', { ...good, headers: { ...good.headers, 'x-proto-message': topics.rollouts.messageType } }],
  ['of an unknown schema', announcement(2, { schemaVersion: 2 })],
  ['of another lineage under this key', announcement(2, { lineage: 'another' })],
])('an announcement %s is refused and counted; the ones around it are used', async (_, bad) => {
  const { watcher, running, loaded, live, rejected } = watching(logOf([announcement(1), bad, announcement(3)]))
  await expect.poll(live).toBe(3)
  expect(rejected()).toBe(1)
  expect(loaded).not.toContain(2)
  await watcher.close()
  await running
})

it('announcements of other lineages, and removed ones, are nothing to it', async () => {
  const other = { ...announcement(9, { lineage: 'another' }), key: 'another' }
  const { watcher, running, live, rejected } = watching(logOf([other, { ...good, value: null }, announcement(3)]))
  await expect.poll(live).toBe(3)
  expect(rejected()).toBe(0)
  await watcher.close()
  await running
})

it('while the log is away the live version stays, and what was announced meanwhile is found afterwards', async () => {
  const away = new PlateauError('LOG_UNAVAILABLE', 'no broker answers', { retryable: true })
  const log = logOf([announcement(1), away], [away], [announcement(1), announcement(2)])
  const { watcher, running, loaded, live } = watching(log)
  await expect.poll(live).toBe(1)
  await expect.poll(live, { timeout: 20_000 }).toBe(2)
  expect(loaded).toEqual([1, 2])
  await watcher.close()
  await running
})

it('a log that will never answer ends it', async () => {
  const refused = new PlateauError('LOG_REFUSED', 'not allowed to read')
  await expect(watching(logOf([refused])).running).rejects.toBe(refused)
})
