import { featureHeadParameter } from '@plateau/causal-lm'
import { tenantDigest, type CheckpointStore } from '@plateau/checkpoints'
import { Arm, ForgottenTenant, PlateauError, topics } from '@plateau/contracts'
import type { EventLog, NewRecord, Reader, ReaderOptions } from '@plateau/event-log'
import { decodeCausalDraft, decodeFeatureHead } from '@plateau/model-files'
import { silentLogger } from '@plateau/telemetry'
import { solveRidge, SumBank } from '@plateau/training'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { ForgottenTenants } from './forgotten-tenants.js'
import { SNAPSHOT_NAME } from './snapshot.js'
import { BILINEAR_FEATURES, defaults, records, Teacher, trainingRecord, type Bench } from './testing.js'
import { useTrainerWorld } from './testing-world.js'

const teacher = new Teacher()
/** Of another domain: what is learned from it shows. */
const other = new Teacher(2)
const world = useTrainerWorld(teacher)
const neverSaw = useTrainerWorld(teacher)
const { open, send, consumed, announcements, savedHeadState, savedState, versionFiles } = world
const options = { checkpointDtype: 'F32' } as const

const windowsOf = (from: Teacher, tenant: string, count: number, first = 0): NewRecord[] =>
  Array.from({ length: count }, (_, i) =>
    trainingRecord({ ...from.window(`${tenant}-${first + i}`), tenant, domain: i % 2 ? 'chat' : 'code' }),
  )

const forget = (tenant: string, capturedUntilMs = Date.now(), lineage = 'default'): Promise<void> =>
  send(
    [
      {
        key: `${lineage}/${tenant}`,
        value: ForgottenTenant.encode({ schemaVersion: 1, lineage, tenant, capturedUntilMs }).finish(),
        headers: {},
      },
    ],
    topics.forgottenTenants.name,
  )

async function whileRunning(bench: Bench, action: () => Promise<void>): Promise<void> {
  const running = bench.trainer.run()
  await Promise.race([action(), running])
  await bench.trainer.close()
  await running
}

/** Until a version was published because somebody was forgotten. */
const replaced = async ({ metrics }: Bench): Promise<void> => {
  while (metrics.publishes.value({ origin: 'foundation' }) === 0) await sleep(5)
}

async function newestProjection({ store, line }: Bench): Promise<Float32Array> {
  return featureHeadParameter(decodeFeatureHead((await versionFiles(store, line.version)).files, 'test'), 'fc.weight')
}

/** The plain solution of what a trainer has saved, as the head stores it. */
async function plainProjection(of: typeof world, { store }: Bench): Promise<Float32Array> {
  const sums = SumBank.of((await of.savedHeadState(store)).closedForm.bank).total()
  const lambda = new Float64Array(sums.inputs).fill(defaults.ridgeLambda)
  lambda.fill(10 * defaults.ridgeLambda, sums.inputs - BILINEAR_FEATURES)
  const w = solveRidge(sums, lambda)
  return Float32Array.from(w, (_, at) => w[(at % sums.inputs) * sums.outputs + Math.floor(at / sums.inputs)]!)
}

function difference(a: Float32Array, b: Float32Array): number {
  const size = Math.sqrt(b.reduce((sum, x) => sum + x * x, 0))
  return Math.sqrt(a.reduce((sum, x, i) => sum + (x - b[i]!) ** 2, 0)) / size
}

/** Both tenants' windows, mixed. */
const mixed = (ours: readonly NewRecord[], theirs: readonly NewRecord[]): NewRecord[] => [
  ...ours.slice(0, 30),
  ...theirs,
  ...ours.slice(30),
]

test("the version that follows is a trainer's that never saw the tenant", async () => {
  const [ours, theirs] = [windowsOf(teacher, 'us', 60), windowsOf(other, 'them', 60)]
  const never = await neverSaw.open(options)
  await neverSaw.send(ours)
  await neverSaw.trained(never)
  const expected = await plainProjection(neverSaw, never)

  const bench = await open(options)
  await send(mixed(ours, theirs))
  await world.trained(bench)
  expect(difference(await plainProjection(world, bench), expected)).toBeGreaterThan(0.1)
  const next = await open(options)
  await whileRunning(next, async () => {
    await forget('them')
    await replaced(next)
  })
  expect(difference(await newestProjection(next), expected)).toBeLessThan(1e-5)
  expect(difference(await plainProjection(world, next), expected)).toBeLessThan(1e-5)
  expect((await announcements()).at(-1)!.version).toBe(next.line.version)
})

test('nothing of the tenant comes back: not what was held back or replayed, nor what still lies in the log', async () => {
  const changes = { ...options, gradients: true, testFirstPositions: 500, replayPositions: 1500 }
  await send(mixed(windowsOf(teacher, 'us', 60), windowsOf(other, 'them', 60)))
  const bench = await open(changes)
  await whileRunning(bench, async () => {
    await consumed()
    while (bench.metrics.steps.value({ result: 'applied' }) < 5) await sleep(5)
  })
  const stillToCome = windowsOf(other, 'them', 20, 60)
  await forget('them')
  await send(stillToCome)
  const next = await open(changes)
  await whileRunning(next, async () => {
    await replaced(next)
    await send(windowsOf(teacher, 'us', 20, 60))
    await consumed()
  })
  const tenants = (await world.readAll(topics.trainingWindows.name)).map(({ key }) => key!.split('-')[0])
  const places = (await world.readAll(topics.trainingWindows.name)).map(
    ({ partition, offset }) => `${partition}/${offset}`,
  )
  const tenantAt = new Map(places.map((place, i) => [place, tenants[i]]))
  const { waiting, replay, heldOut, calibration, closedForm } = await savedHeadState(next.store)
  const held = [...waiting, ...replay, ...heldOut, ...calibration]
  expect(held.length).toBeGreaterThan(10)
  expect(new Set(held.map(({ partition, offset }) => tenantAt.get(`${partition}/${offset}`)))).toEqual(new Set(['us']))
  expect(closedForm.bank.cells.map(({ key }) => key.tenant)).not.toContain('them')
  // Those that arrived before the request was read were dropped with what waited.
  expect(next.metrics.forgotten.value({})).toBeGreaterThan(0)
})

test.each(['feature-head', 'causal-lm'] as const)(
  'killed before it was saved, a %s obeys again; what is captured later is trained on',
  async (draft) => {
    const changes = { ...options, draft, gradients: true }
    await send(mixed(windowsOf(teacher, 'us', 60), windowsOf(other, 'them', 60)))
    const before = await open(changes)
    await whileRunning(before, async () => {
      await consumed()
      while (before.metrics.steps.value({ result: 'applied' }) < 3) await sleep(5)
    })
    const survivor = (await before.store.readState('default', SNAPSHOT_NAME))!
    const until = Date.now()
    await forget('them', until)
    const killed = await open(changes)
    await whileRunning(killed, () => replaced(killed))
    await before.store.putState('default', SNAPSHOT_NAME, survivor, 0)

    const after = await open(changes)
    await whileRunning(after, async () => {
      await replaced(after)
      const late = { ...other.window('them-late'), tenant: 'them', capturedAtMs: until + 1 }
      await send([trainingRecord(late)])
      await consumed()
    })
    const versions = (await announcements()).map(({ version }) => version)
    expect(versions).toEqual([...new Set(versions)].toSorted((a, b) => a - b))
    const { forgotten, owesVersion, replay } = await savedState(after.store)
    expect(forgotten).toEqual({ nextOffset: 1, until: { them: until } })
    expect(owesVersion).toBe(false)
    expect(after.metrics.forgotten.value({})).toBe(0)
    expect(replay.length).toBeGreaterThan(0)
  },
)

test('a causal-lm begins again from what it began with, and says so as its next version', async () => {
  await send(mixed(windowsOf(teacher, 'us', 60), windowsOf(other, 'them', 60)))
  const bench = await open({ ...options, draft: 'causal-lm' })
  const embeddings = async (version: number) =>
    decodeCausalDraft((await versionFiles(bench.store, version)).files, 'test').parameters.get(
      'model.embed_tokens.weight',
    )!.data
  await whileRunning(bench, async () => {
    while (bench.metrics.steps.value({ result: 'applied' }) < 10) await sleep(5)
    await forget('them')
    await replaced(bench)
  })
  const published = (await announcements()).filter(({ evaluation }) => Number.isNaN(evaluation!.alpha))
  expect(await embeddings(published.at(-1)!.version)).toEqual(await embeddings(1))
})

test('what the lineage began with takes the place of a worse solution', async () => {
  await neverSaw.send(records(teacher, 's', 200))
  const good = await neverSaw.open(options)
  await whileRunning(good, async () => {
    while (good.line.version < 2) await sleep(5)
  })
  const warmStart = join(neverSaw.directory, 'store', 'default', `v0000000${good.line.version}`)
  // Of them there is one sample, of us those that versions are compared on.
  const heldOut = Array.from({ length: 12 }, (_, i) =>
    trainingRecord({ ...teacher.window(`us-held${i}`), tenant: 'us' }, { arm: Arm.ARM_EVALUATION }),
  )
  await send([...windowsOf(other, 'else', 1), ...windowsOf(other, 'them', 30), ...heldOut])
  const bench = await open({ ...options, warmStart })
  await whileRunning(bench, async () => {
    await consumed()
    await forget('them')
    await replaced(bench)
  })
  const files = async (version: number) => (await versionFiles(bench.store, version)).files.get('model.safetensors')
  expect(await files(bench.line.version)).toEqual(await files(1))
})

test('what the lineage began with stands, whatever is configured now, when nothing else is left', async () => {
  await send(windowsOf(other, 'them', 60))
  const bench = await open({ ...options, bilinearFeatures: 8, draftVocabulary: 24 })
  await world.trained(bench)
  const first = featureHeadParameter(decodeFeatureHead((await versionFiles(bench.store, 1)).files, 'test'), 'fc.weight')
  const next = await open(options)
  await whileRunning(next, async () => {
    await forget('them')
    await replaced(next)
  })
  expect(await newestProjection(next)).toEqual(first)
})

test('somebody who was never seen, and the request of another lineage, change nothing', async () => {
  await send(windowsOf(teacher, 'us', 60))
  const bench = await open(options)
  await whileRunning(bench, async () => {
    await consumed()
    await forget('nobody')
    await forget('us', Date.now(), 'another')
    await send([{ key: 'default/x', value: Buffer.from([255]), headers: {} }], topics.forgottenTenants.name)
    while ((await savedState(bench.store)).forgotten.nextOffset < 3) await sleep(20)
  })
  expect(bench.metrics.publishes.value({ origin: 'foundation' })).toBe(0)
  expect((await savedHeadState(bench.store)).closedForm.bank.cells.map(({ key }) => key.tenant)).toEqual(['us', 'us'])
})

test('a request that was read when reading broke off is obeyed with the next try', async () => {
  await forget('them', 5)
  let breaks = true
  const breaking = new Proxy(world.log, {
    get: (log, name: keyof EventLog) =>
      name === 'reader' && breaks
        ? (of: ReaderOptions) => brokenOff(log.reader(of))
        : (Reflect.get(log, name) as (...all: unknown[]) => unknown).bind(log),
  })
  const tenants = new ForgottenTenants({ log: breaking, lineage: 'default', logger: silentLogger }, undefined)
  await expect(tenants.read()).rejects.toThrow('broken off')
  expect(tenants.state).toEqual({ nextOffset: 0, until: {} })
  breaks = false
  expect(await tenants.read()).toEqual(['them'])
  expect(tenants.state).toEqual({ nextOffset: 1, until: { them: 5 } })
  expect(await tenants.read()).toEqual([])
})

/** Fails after its first batch. */
function brokenOff(reader: Reader): Reader {
  return {
    caughtUp: reader.caughtUp,
    close: () => reader.close(),
    async *[Symbol.asyncIterator]() {
      for await (const batch of reader) {
        yield batch
        throw new Error('broken off')
      }
    },
  }
}

test('a version without the tenant that could not be written is owed until it is, across a restart', async () => {
  let isFull = false
  const store = (of: CheckpointStore): CheckpointStore =>
    new Proxy(of, {
      get: (target, name: keyof CheckpointStore) => {
        if (name === 'put' && isFull) {
          return () => Promise.reject(new PlateauError('FULL', 'no space left', { retryable: true }))
        }
        const member = Reflect.get(target, name)
        return typeof member === 'function' ? member.bind(target) : member
      },
    })
  await send(mixed(windowsOf(teacher, 'us', 60), windowsOf(other, 'them', 60)))
  const bench = await open(options, { store })
  await whileRunning(bench, async () => {
    await consumed()
    isFull = true
    await forget('them')
    while (!(await savedState(bench.store)).owesVersion) await sleep(20)
  })
  isFull = false
  const next = await open(options)
  await whileRunning(next, () => replaced(next))
  expect((await savedState(next.store)).owesVersion).toBe(false)
})

describe('manifests say whose windows', () => {
  const changes = { ...options, draft: 'causal-lm', testFirstPositions: 200 } as const
  const tenantsOf = async ({ store, line }: Bench) => (await versionFiles(store, line.version)).manifest.gradientTenants

  /** Until a version came of gradients, sending more of a tenant's windows as long as it takes. */
  async function published(bench: Bench, tenant: string): Promise<void> {
    const before = bench.line.version
    for (let more = 0; bench.line.version === before; more++) {
      await send(windowsOf(teacher, tenant, 20, 1000 * before + 20 * more))
      await consumed()
      await sleep(20)
    }
  }

  test('gradients used, also after a kill; after a tenant was forgotten, only those of others', async () => {
    await send(windowsOf(teacher, 'them', 60))
    const before = await open(changes)
    expect(await tenantsOf(before)).toEqual([])
    await whileRunning(before, () => published(before, 'them'))
    expect(await tenantsOf(before)).toEqual([tenantDigest('them')])
    const survivor = (await before.store.readState('default', SNAPSHOT_NAME))!
    const lost = await open(changes)
    await whileRunning(lost, () => published(lost, 'lost'))
    await before.store.putState('default', SNAPSHOT_NAME, survivor, 0)

    // Nothing of them comes any more.
    const next = await open(changes)
    await whileRunning(next, async () => {
      await published(next, 'us')
      // What the lost process had consumed is read again.
      expect(await tenantsOf(next)).toEqual(expect.arrayContaining(['them', 'us'].map(tenantDigest)))
      await forget('them')
      await replaced(next)
      expect(await tenantsOf(next)).toEqual([])
      await published(next, 'us')
      expect(await tenantsOf(next)).toContain(tenantDigest('us'))
      expect(await tenantsOf(next)).not.toContain(tenantDigest('them'))
    })
  })

  test('the sums hold, without those of a tenant that was forgotten', async () => {
    await send(mixed(windowsOf(teacher, 'us', 60), windowsOf(other, 'them', 60)))
    const bench = await open({ ...options, testFirstPositions: 200 })
    await whileRunning(bench, async () => {
      await published(bench, 'us')
      const { manifest } = await versionFiles(bench.store, bench.line.version)
      expect(manifest).toMatchObject({ gradientTenants: [], sumTenants: ['them', 'us'].map(tenantDigest).toSorted() })
      await forget('them')
      await replaced(bench)
    })
    const { manifest } = await versionFiles(bench.store, bench.line.version)
    expect(manifest).toMatchObject({ gradientTenants: [], sumTenants: [tenantDigest('us')] })
  })
})
