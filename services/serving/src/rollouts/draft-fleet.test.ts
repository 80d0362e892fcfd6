import {
  DraftCheckpoint,
  encodeHeaders,
  PlateauError,
  RolloutOrder,
  RolloutOrderKind,
  topics,
  type Headers,
} from '@plateau/contracts'
import type { Batch, EventLog, NewRecord, Reader } from '@plateau/event-log'
import { DraftRouter, standardRouting } from '@plateau/rollout'
import { silentLogger } from '@plateau/telemetry'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { DriftWatch } from '../drift-watch.js'
import type { Outbox } from '../outbox.js'
import { RolloutWorld } from '../testing/rollout-world.js'
import { DraftFleet } from './draft-fleet.js'
import { HeldOutWindows } from './held-out-windows.js'
import type { LineageRollout } from './lineage-rollout.js'
import { RolloutReporter } from './rollout-reporter.js'

const { draftCheckpoints, rolloutOrders } = topics
/** CAUGHT_UP: what stands before it was there when the reader was opened. */
const CAUGHT_UP = 'caught up'
type Feed = NewRecord | PlateauError | typeof CAUGHT_UP

/** A log whose readers hand over the given records of their topic, each reader the next list; an error among them breaks it off. */
function logOf(feeds: { readonly [topic: string]: readonly (readonly Feed[])[] }): EventLog {
  const opened = new Map<string, number>()
  const reader = ({ topic }: { readonly topic: string }): Reader => {
    const turn = opened.get(topic) ?? 0
    opened.set(topic, turn + 1)
    const feed = feeds[topic]?.[turn] ?? []
    const closed = Promise.withResolvers<void>()
    const caughtUp = Promise.withResolvers<void>()
    caughtUp.promise.catch(() => {})
    async function* batches(): AsyncGenerator<Batch> {
      for (const [offset, item] of feed.entries()) {
        if (item instanceof PlateauError) {
          caughtUp.reject(item)
          throw item
        }
        if (item === CAUGHT_UP) {
          caughtUp.resolve()
          await nextTurn()
          continue
        }
        const record = { ...item, topic, partition: 0, offset, timestampMs: 0 }
        yield { topic, partition: 0, records: [record], highWatermark: feed.length }
      }
      caughtUp.resolve()
      await closed.promise
    }
    return { [Symbol.asyncIterator]: () => batches(), caughtUp: caughtUp.promise, close: async () => closed.resolve() }
  }
  return { reader } as unknown as EventLog
}

function headersOf(id: string, type: string): Headers {
  return encodeHeaders({ id, source: '/plateau/test', type, timeMs: 0 })
}

function announcement(version: number, change: Partial<DraftCheckpoint> = {}): NewRecord {
  const message = DraftCheckpoint.fromPartial({ schemaVersion: 1, lineage: 'default', version, ...change })
  const headers = headersOf(`default/${version}`, draftCheckpoints.messageType)
  return { key: 'default', value: DraftCheckpoint.encode(message).finish(), headers }
}

function order(kind: RolloutOrderKind, version: number, key: string, change: Partial<RolloutOrder> = {}): NewRecord {
  const checkpoint = DraftCheckpoint.fromPartial({ schemaVersion: 1, lineage: 'default', version })
  const message = RolloutOrder.fromPartial({
    schemaVersion: 1,
    lineage: 'default',
    kind,
    version,
    checkpoint,
    ...change,
  })
  return { key, value: RolloutOrder.encode(message).finish(), headers: headersOf(key, rolloutOrders.messageType) }
}

function fleetOn(log: EventLog, lineages: readonly LineageRollout[], draw = () => 0.9) {
  let invalid = 0
  const fleet = new DraftFleet({
    lineages,
    floor: () => undefined,
    router: new DraftRouter(standardRouting),
    draw,
    windows: new HeldOutWindows({ targetFingerprint: '', tokenizerHash: '', hiddenSize: 1, maxWindows: 1 }),
    reporter: new RolloutReporter({ server: 'here', outbox: {} as Outbox, clock: () => 0 }),
    drift: { finished: () => false } as unknown as DriftWatch,
    eventLog: log,
    server: 'here',
    onInvalid: () => void invalid++,
    onClosed: async () => {},
    logger: silentLogger,
    clock: () => 0,
  })
  const running = fleet.run()
  running.catch(() => {})
  return { fleet, running, invalid: () => invalid }
}

const world = () => new RolloutWorld({ stageMs: 1 })
/** Time passes, and nobody asks for anything. */
async function live(w: RolloutWorld, version: number): Promise<void> {
  await expect
    .poll(
      () => {
        w.nowMs += 1_000
        return w.live
      },
      { timeout: 15_000 },
    )
    .toBe(version)
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
  const w = world()
  const log = logOf({ [draftCheckpoints.name]: [[announcement(1), bad, announcement(3)]] })
  const { fleet, running, invalid } = fleetOn(log, [w.rollout])
  await live(w, 3)
  expect(invalid()).toBe(1)
  expect(w.events()).not.toContain('2 announced')
  await fleet.close()
  await running
})

it('announcements of other lineages, and removed ones, are nothing to it', async () => {
  const w = world()
  const other = { ...announcement(9, { lineage: 'another' }), key: 'another' }
  const log = logOf({ [draftCheckpoints.name]: [[other, { ...good, value: null }, announcement(3)]] })
  const { fleet, running, invalid } = fleetOn(log, [w.rollout])
  await live(w, 3)
  expect(invalid()).toBe(0)
  await fleet.close()
  await running
})

it('while the log is away the live version stays, and what was announced meanwhile is found afterwards', async () => {
  const w = world()
  const away = new PlateauError('LOG_UNAVAILABLE', 'no broker answers', { retryable: true })
  const log = logOf({ [draftCheckpoints.name]: [[announcement(1), away], [away], [announcement(1), announcement(2)]] })
  const { fleet, running } = fleetOn(log, [w.rollout])
  await live(w, 1)
  await live(w, 2)
  expect(w.events().filter((event) => event.endsWith('announced'))).toEqual(['1 announced', '2 announced'])
  await fleet.close()
  await running
}, 20_000)

it('a log that will never answer ends it', async () => {
  const refused = new PlateauError('LOG_REFUSED', 'not allowed to read')
  const { running, fleet } = fleetOn(logOf({ [draftCheckpoints.name]: [[refused]] }), [world().rollout])
  await expect(running).rejects.toBe(refused)
  await fleet.close()
})

it('begins where the orders say, tests nothing that they forbid, and follows what comes after them once', async () => {
  const { ROLLOUT_ORDER_KIND_LIVE, ROLLOUT_ORDER_KIND_PROMOTE, ROLLOUT_ORDER_KIND_RETIRE } = RolloutOrderKind
  const w = world()
  const early = [
    order(ROLLOUT_ORDER_KIND_PROMOTE, 1, 'default/version/1'),
    order(ROLLOUT_ORDER_KIND_LIVE, 2, 'default/live'),
    order(ROLLOUT_ORDER_KIND_LIVE, 3, 'default/live'),
    order(ROLLOUT_ORDER_KIND_RETIRE, 4, 'default/version/4'),
  ]
  const away = new PlateauError('LOG_UNAVAILABLE', 'no broker answers', { retryable: true })
  const retired = order(ROLLOUT_ORDER_KIND_RETIRE, 3, 'default/version/3')
  // The reader breaks once it has caught up, and begins at the beginning again.
  const log = logOf({
    [rolloutOrders.name]: [early, [...early, retired], [...early, retired]],
    [draftCheckpoints.name]: [[announcement(4)]],
  })
  const first = fleetOn(log, [w.rollout])
  await expect.poll(() => w.live).toBe(3)
  await first.fleet.idle()
  expect(w.events()).toEqual(['3 live'])
  await first.fleet.close()
  await first.running

  const again = world()
  const broken = logOf({
    [rolloutOrders.name]: [
      [...early, away],
      [...early, retired],
    ],
  })
  const { fleet, running } = fleetOn(broken, [again.rollout])
  await fleet.idle()
  await expect.poll(() => again.rollout.newestAnnounced, { timeout: 5_000 }).toBe(4)
  expect(again.events()).toEqual([])
  await fleet.close()
  await running
})

it.each<[string, NewRecord]>([
  ['of random bytes', { ...order(1, 1, 'default/live'), value: Buffer.from([255, 255, 255, 1]) }],
  ['of an unknown kind', order(99 as RolloutOrderKind, 1, 'default/version/1')],
  ['under a key that is not its own', order(RolloutOrderKind.ROLLOUT_ORDER_KIND_RETIRE, 1, 'default/version/7')],
  ['of an unknown schema', order(RolloutOrderKind.ROLLOUT_ORDER_KIND_LIVE, 1, 'default/live', { schemaVersion: 9 })],
])('an order %s is counted and changes nothing', async (_, bad) => {
  const w = world()
  const { fleet, running, invalid } = fleetOn(logOf({ [rolloutOrders.name]: [[bad]] }), [w.rollout])
  await expect.poll(invalid).toBe(1)
  expect(w.live).toBe(0)
  await fleet.close()
  await running
})

it.each([
  ['of its own that comes back is not carried out again', 'here/0', 0],
  ["of another server's is", 'there/0', 1],
])('an order %s', async (_, id, live) => {
  const w = world()
  w.qualities.set(1, { alpha: 0.5, acceptance: 0.6 })
  const promote = order(RolloutOrderKind.ROLLOUT_ORDER_KIND_PROMOTE, 1, 'default/version/1')
  const ordered = { ...promote, headers: headersOf(id, rolloutOrders.messageType) }
  const marker = { ...promote, value: Buffer.from([255]) }
  const log = logOf({ [rolloutOrders.name]: [[CAUGHT_UP, ordered, marker]] })
  const { fleet, running, invalid } = fleetOn(log, [w.rollout])
  await expect.poll(invalid).toBe(1)
  await fleet.idle()
  expect(w.live).toBe(live)
  await fleet.close()
  await running
})

/** Versions 1 to 3 went live one after the other, and the first is kept; `serve` says which one a request was on. */
async function threeVersions(traffic: { readonly known: string; readonly met: string }) {
  const w = new RolloutWorld({ stageMs: 1, holdbackShare: 0 })
  w.keep = (replaced) => new Set(replaced.filter(({ version }) => version === 1))
  const { fleet, running } = fleetOn(logOf({}), [w.rollout])
  const serve = (domain: string): number => {
    const assigned = fleet.assign({ sampleId: 'a', tenant: '', domain })
    const draft = { accepted: 30, judged: 40 }
    assigned.finished({ draft, all: { ...draft, rounds: 10 } })
    assigned.release()
    return assigned.draft!.version
  }
  await w.announce(1, { alpha: 0.5, acceptance: 0.6 })
  await live(w, 1)
  for (let i = 0; i < 20; i++) expect(serve(traffic.known)).toBe(1)
  for (const version of [2, 3]) {
    await w.announce(version, { alpha: 0.5, acceptance: 0.6 })
    await live(w, version)
    for (let i = 0; i < 20; i++) serve(traffic.met)
  }
  expect(w.rollout.kept.map(({ version }) => version)).toEqual([1])
  const closed = async (): Promise<void> => {
    await fleet.close()
    await running
  }
  return { serve, closed, fleet }
}

it('a domain that comes back finds the version that knew it, for as long as that stays loaded', async () => {
  const { serve, closed } = await threeVersions({ known: 'chat', met: 'code' })
  expect(serve('chat')).toBe(1)
  expect(serve('code')).toBe(3)
  await closed()
})

it('a pinned version has all of its lineage, also what an older one is better on', async () => {
  const { serve, closed, fleet } = await threeVersions({ known: 'chat', met: 'code' })
  expect(serve('chat')).toBe(1)
  await fleet.pin('default', 3, { by: 'anna', reason: 'the cause is not found yet' })
  expect(serve('chat')).toBe(3)
  await closed()
})

it('a domain that stays is on every new version from the first request on', async () => {
  const { serve, closed } = await threeVersions({ known: 'code', met: 'code' })
  expect(serve('code')).toBe(3)
  await closed()
})

it('traffic without a label is never on an older version, however good that was', async () => {
  const { serve, closed } = await threeVersions({ known: '', met: 'code' })
  expect(serve('')).toBe(3)
  await closed()
})

it('orders name a lineage that is served here', async () => {
  const { fleet, running } = fleetOn(logOf({}), [world().rollout])
  const by = { by: 'anna', reason: 'because' }
  expect(() => fleet.promote('another', 1, by)).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }))
  expect(() => fleet.status('another')).toThrow(/served: default/)
  expect(fleet.status('')).toMatchObject({ server: 'here', lineages: [{ lineage: 'default', liveVersion: 0 }] })
  await fleet.close()
  await running
})
