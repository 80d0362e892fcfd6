import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  fileStore,
  generateSigningKey,
  tenantDigest,
  writeCheckpoint,
  type CheckpointStore,
} from '@plateau/checkpoints'
import {
  Acceptance,
  DraftCheckpoint,
  encodeHeaders,
  ForgottenTenant,
  RolloutOrder,
  RolloutOrderKind,
  topics,
  type TopicSpec,
} from '@plateau/contracts'
import { describe, expect, test } from 'vitest'
import { plateau } from '../testing/run-command.js'
import { readAll, temporaryDirectory, temporaryLog, type TestLog } from '../testing/temporary-log.js'

const nowMs = Date.parse('2026-11-27T12:00:00Z')
const signingKey = generateSigningKey()
const { ROLLOUT_ORDER_KIND_PIN: PIN, ROLLOUT_ORDER_KIND_LIVE: LIVE } = RolloutOrderKind

interface Tenants {
  readonly gradientTenants?: readonly string[]
  readonly sumTenants?: readonly string[]
}

async function putVersion(store: CheckpointStore, version: number, tenants: Tenants): Promise<void> {
  const about = {
    lineage: 'default',
    version,
    parent: version - 1,
    kind: 'feature-fed-head',
    targetFingerprint: 'f'.repeat(64),
    tokenizerHash: 'a'.repeat(64),
    trainedThrough: [],
    policy: 'none',
    evaluation: { positions: 0, alpha: null, parentAlpha: null, greedyMatch: null },
    trainedPositions: 0,
    codeVersion: 'test',
    createdAt: new Date(nowMs).toISOString(),
    ...tenants,
  }
  await writeCheckpoint(store, about, [{ path: 'model.safetensors', bytes: Buffer.from('weights') }], signingKey)
}

async function send<T>({ log }: TestLog, topic: TopicSpec<T>, key: string, message: T): Promise<void> {
  const headers = encodeHeaders({
    id: `${key}:${Math.random()}`,
    source: '/plateau/test',
    type: topic.messageType,
    timeMs: nowMs,
  })
  const producer = log.producer()
  await producer.send(topic.name, [{ key, value: topic.codec.encode(message).finish(), headers }])
  await producer.close()
}

const order = (kind: RolloutOrderKind, version: number) =>
  RolloutOrder.fromPartial({ schemaVersion: 1, lineage: 'default', kind, version, reason: 'earlier', orderedBy: 'ops' })

/**
 * Versions 1 (written before manifests named tenants), 2 (others only), 3 (acme in its gradients), 4 (acme in its sums)
 * and 5 (everybody).
 */
async function world() {
  const testLog = await temporaryLog()
  const directory = join(temporaryDirectory(), 'store')
  mkdirSync(directory)
  const store = fileStore(directory)
  const [acme, other] = [tenantDigest('acme'), tenantDigest('other')]
  await putVersion(store, 1, {})
  await putVersion(store, 2, { gradientTenants: [other], sumTenants: [other] })
  await putVersion(store, 3, { gradientTenants: [acme, other].toSorted(), sumTenants: [] })
  await putVersion(store, 4, { gradientTenants: [], sumTenants: [acme] })
  await putVersion(store, 5, { gradientTenants: ['*'], sumTenants: [other] })
  const forget = (...args: string[]) =>
    plateau(
      [
        'tenants',
        'forget',
        '--tenant',
        'acme',
        '--lineage',
        'default',
        '--store',
        directory,
        '--event-log',
        testLog.url,
        ...args,
      ],
      { now: () => nowMs },
    )
  const orders = async () => {
    const records = await readAll(testLog.log, topics.rolloutOrders.name)
    return records.map(({ key, value }) => {
      const { kind, reason, orderedBy, atMs } = RolloutOrder.decode(value!)
      return { key, kind, reason, orderedBy, atMs }
    })
  }
  return { ...testLog, store, forget, orders }
}

describe('a tenant is forgotten', () => {
  test('the trainer is asked, and versions that learned from it are retired on every server', async () => {
    const { forget, orders, log } = await world()
    const { out } = await forget('--retire-unknown')
    const requests = await readAll(log, topics.forgottenTenants.name)
    expect(requests.map(({ key }) => key)).toEqual(['default/acme'])
    expect(ForgottenTenant.decode(requests[0]!.value!)).toEqual({
      schemaVersion: 1,
      lineage: 'default',
      tenant: 'acme',
      capturedUntilMs: nowMs,
    })
    const retire = {
      kind: RolloutOrderKind.ROLLOUT_ORDER_KIND_RETIRE,
      orderedBy: 'plateau tenants forget',
      atMs: nowMs,
    }
    expect(await orders()).toMatchObject([
      { key: 'default/version/1', ...retire, reason: expect.stringContaining('nobody knows') },
      { key: 'default/version/3', ...retire, reason: expect.stringContaining('it learned') },
      { key: 'default/version/4', ...retire },
      { key: 'default/version/5', ...retire },
    ])
    expect(out).toContain('lineage default will forget what it learned from acme until 2026-11-27T12:00:00.000Z')
    expect(out).toContain('1 of 5 versions did not learn from it')
    expect(out).toContain('version 3: retired (its windows are in its gradients)')
    expect(out).toContain('version 4: retired (its windows are in its closed form)')
  })

  test('versions of which nobody knows are named and left, and that is no success', async () => {
    const { forget, orders } = await world()
    const { code, out } = await forget()
    expect(code).toBe(1)
    expect((await orders()).map(({ key }) => key)).toEqual(['default/version/3', 'default/version/4'])
    expect(out).toContain('version 1: left as it is (unknown: it was written before manifests named tenants)')
    expect(out).toContain('version 5: left as it is (unknown: too many tenants to be named are in its gradients)')
    expect(out).toContain('2 left that may have learned from it: --retire-unknown takes them off traffic, too')
  })

  test('nothing is written when it is only asked what would be done', async () => {
    const { forget, orders, log } = await world()
    const { code, out } = await forget('--dry-run', '--retire-unknown')
    expect(code).toBe(0)
    expect(out).toContain('version 3: would be retired')
    expect(await orders()).toEqual([])
    expect(await readAll(log, topics.forgottenTenants.name)).toEqual([])
  })

  test('once more retires nothing twice', async () => {
    const { forget, orders } = await world()
    await forget('--retire-unknown')
    const { code, out } = await forget('--retire-unknown')
    expect(code).toBe(0)
    expect(out).toContain('version 3: off traffic already')
    expect(await orders()).toHaveLength(4)
  })

  test('a pin does not keep a version that learned from it', async () => {
    const all = await world()
    await send(all, topics.rolloutOrders, 'default/pin', order(PIN, 3))
    const { out } = await all.forget()
    expect(out).toContain('version 3 was pinned: it is pinned no longer')
    expect((await all.orders()).slice(1).map(({ key }) => key)).toEqual([
      'default/pin',
      'default/version/3',
      'default/version/4',
    ])
  })

  test('the pin of another version stays', async () => {
    const all = await world()
    await send(all, topics.rolloutOrders, 'default/pin', order(PIN, 2))
    await all.forget()
    expect((await all.orders()).map(({ key }) => key).filter((key) => key === 'default/pin')).toHaveLength(1)
  })

  test.each<[string, (all: Awaited<ReturnType<typeof world>>) => Promise<void>]>([
    [
      'announced',
      (all) =>
        send(all, topics.draftCheckpoints, 'default', DraftCheckpoint.fromPartial({ lineage: 'default', version: 9 })),
    ],
    ['what servers begin with', (all) => send(all, topics.rolloutOrders, 'default/live', order(LIVE, 9))],
    [
      'proposing at present',
      (all) =>
        send(
          all,
          topics.acceptance,
          '9',
          Acceptance.fromPartial({ lineage: 'default', draftVersion: '9', toMs: nowMs - 1000 }),
        ),
    ],
  ])('a version that is %s and not in the store is unknown', async (_, use) => {
    const all = await world()
    await use(all)
    const { code, out } = await all.forget()
    expect(code).toBe(1)
    expect(out).toContain('version 9: left as it is (unknown: it is not in the checkpoint store any more)')
  })

  test('other lineages are left alone', async () => {
    const { url, log } = await world()
    const args = ['--tenant', 'acme', '--lineage', 'second', '--event-log', url]
    const { code, out } = await plateau(['tenants', 'forget', ...args, '--store', temporaryDirectory()])
    expect(code).toBe(0)
    expect(out).toContain('none is to be retired')
    expect(await readAll(log, topics.rolloutOrders.name)).toEqual([])
  })

  test('by its earlier name it does the same', async () => {
    const [one, other] = [await plateau(['drafts', 'forget', '--help']), await plateau(['tenants', 'forget', '--help'])]
    const options = (help: string) => help.split('\n').filter((line) => line.startsWith('  --'))
    expect(options(one.out)).toEqual(options(other.out))
  })
})

test('tenants are listed with what they used, when they last came and since when they are forgotten', async () => {
  const all = await temporaryLog()
  const acceptance = (tenant: string, numEmittedTokens: number, toMs: number, lineage = 'default') =>
    Acceptance.fromPartial({
      lineage,
      tenant,
      draftVersion: '3',
      numEmittedTokens,
      requestsFinished: 2,
      requestsFailed: 1,
      toMs,
    })
  await send(all, topics.acceptance, '3', acceptance('acme', 100, nowMs - 7_200_000))
  await send(all, topics.acceptance, '3', acceptance('acme', 50, nowMs - 60_000))
  await send(all, topics.acceptance, '3', acceptance('', 700, nowMs - 1000))
  await send(all, topics.acceptance, '3', acceptance('acme', 5, nowMs, 'second'))
  const forgotten = { schemaVersion: 1, lineage: 'default', tenant: 'gone', capturedUntilMs: nowMs - 1 }
  await send(all, topics.forgottenTenants, 'default/gone', forgotten)
  const list = (...args: string[]) =>
    plateau(['tenants', 'list', '--event-log', all.url, ...args], { now: () => nowMs })
  const { code, out } = await list()
  expect(code).toBe(0)
  expect(
    out
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => line.split(/ {2,}/)),
  ).toEqual([
    ['default', '(default)', '700', '3', '1 s ago', '-'],
    ['default', 'acme', '150', '6', '1 min ago', '-'],
    ['default', 'gone', '0', '0', '-', '2026-11-27T11:59:59.999Z'],
    ['second', 'acme', '5', '3', '0 s ago', '-'],
  ])
  expect((await list('--lineage', 'second', '--json')).json()).toMatchObject([{ lineage: 'second', tokens: 5 }])
})
