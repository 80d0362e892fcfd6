import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  DraftCheckpoint,
  encodeHeaders,
  Rollout,
  RolloutOrder,
  RolloutOrderKind,
  RolloutState,
  topics,
  type TopicSpec,
} from '@plateau/contracts'
import { startServer } from '@plateau/rpc'
import { describe, expect, onTestFinished, test } from 'vitest'
import { evidence, startRolloutServer } from '../testing/rollout-server.js'
import { plateau } from '../testing/run-command.js'
import { temporaryDirectory, temporaryLog, type TestLog } from '../testing/temporary-log.js'

const atMs = Date.parse('2026-11-27T12:00:00Z')

async function send<T>({ log }: TestLog, topic: TopicSpec<T>, id: string, message: T): Promise<void> {
  const headers = encodeHeaders({ id, source: '/plateau/test', type: topic.messageType, timeMs: atMs })
  const producer = log.producer()
  await producer.send(topic.name, [{ key: id, value: topic.codec.encode(message).finish(), headers }])
  await producer.close()
}

async function history(): Promise<TestLog> {
  const testLog = await temporaryLog()
  const event = (version: number, state: RolloutState, more: Partial<Rollout> = {}) =>
    Rollout.fromPartial({
      schemaVersion: 1,
      lineage: 'default',
      version,
      state,
      server: 'serving-1',
      atMs,
      ...more,
    } as Rollout)
  const canary = { reason: 'a share of the requests uses it', otherVersion: 3, evidence }
  const taken = { reason: 'slower on code', orderedBy: 'ops' }
  await send(testLog, topics.rollouts, '1', event(4, RolloutState.ROLLOUT_STATE_CANARY, canary))
  await send(testLog, topics.rollouts, '2', event(4, RolloutState.ROLLOUT_STATE_ROLLED_BACK, taken))
  await send(testLog, topics.rollouts, '3', event(3, RolloutState.ROLLOUT_STATE_LIVE))
  return testLog
}

describe('plateau rollouts', () => {
  test('one line an event: what, why, the difference with its interval, and who ordered it', async () => {
    const { url } = await history()
    const { out } = await plateau(['rollouts', '--event-log', url])
    expect(out.trimEnd().split('\n')).toEqual([
      '2026-11-27T12:00:00.000Z  serving-1  default version 4 canary: a share of the requests uses it' +
        ' [live-acceptance +0.0080, -0.0120 to +0.0280 against version 3]',
      '2026-11-27T12:00:00.000Z  serving-1  default version 4 rolled back: slower on code (ordered by ops)',
      '2026-11-27T12:00:00.000Z  serving-1  default version 3 live',
    ])
    const last = await plateau(['rollouts', '--event-log', url, '--json'])
    expect(last.out).toContain('"state":"rolled_back"')
  })

  test('--version explains one: its announcement, events with all evidence and traffic, orders in force', async () => {
    const all = await history()
    const evaluation = { positions: 3000, alpha: 0.61, parentAlpha: 0.6, greedyMatch: 0.5 }
    const announced = { lineage: 'default', version: 4, parentVersion: 3, kind: 'feature-fed-head', evaluation }
    await send(
      all,
      topics.draftCheckpoints,
      'default',
      DraftCheckpoint.fromPartial({ ...announced, publishedAtMs: atMs }),
    )
    const order = { lineage: 'default', version: 4, reason: 'slower on code', orderedBy: 'ops', atMs }
    const kind = RolloutOrderKind.ROLLOUT_ORDER_KIND_RETIRE
    await send(all, topics.rolloutOrders, 'default/version/4', RolloutOrder.fromPartial({ ...order, kind }))
    const { code, out } = await plateau(['rollouts', '--version', '4', '--event-log', all.url])
    expect(code).toBe(0)
    expect(out).toContain('version 4 of lineage default\n')
    expect(out).toMatch(
      /published .*: feature-fed-head, trained from version 3, .* alpha 0\.6100 on 3000 .* parent 0\.6000/,
    )
    expect(out).toContain('it 0.6120, the other 0.6040: difference +0.0080, between -0.0120 and +0.0280')
    expect(out).toContain('(wrong at most 1 % of the time); may be 0.03 worse')
    expect(out).toMatch(/tenant +acme +400 +0\.7000 +0\.5000 +\+0\.2000/)
    expect(out).toMatch(/orders in force\n +2026.* retire by ops: slower on code/)
    expect(out).not.toContain('version 3 live')
  })

  test('a version that nothing is known of is said, with exit code 1', async () => {
    const { url } = await history()
    const { code, out } = await plateau(['rollouts', '--version', '9', '--lineage', 'default', '--event-log', url])
    expect({ code, out }).toEqual({ code: 1, out: 'nothing is recorded about version 9 of lineage default\n' })
    expect((await plateau(['rollouts', '--version', '9', '--follow', '--event-log', url])).code).toBe(2)
  })
})

describe('a serving process', () => {
  test('says what it serves, tests and would go back to', async () => {
    const { address } = await startRolloutServer()
    const { code, out } = await plateau(['rollouts', 'status', '--admin', address])
    expect(code).toBe(0)
    expect(out.split('\n')[0]).toBe(
      'lineage default on serving-1; version 3 is live; a rollback goes back to version 2',
    )
    expect(out).toMatch(/^ +4 +canary +2026-11-27T12:00:00.000Z +20\.0 % +1 +live-acceptance \+0\.0080, -0\.0120 to/m)
    expect(out).toMatch(/^ +3 +confirmed .* 80\.0 % +5 +-$/m)
    const { json } = await plateau(['rollouts', 'status', '--admin', address, '--json'])
    expect(json()).toMatchObject({ lineages: [{ liveVersion: 3, versions: [{ state: 'canary' }, {}] }] })
  })

  test('is ordered about by name of the version or without, and every order has its reason', async () => {
    const { address, versions } = await startRolloutServer()
    const give = async (...args: string[]) => {
      const { code, out } = await plateau([...args, '--reason', 'a test', '--admin', address])
      return `${code} ${out}`
    }
    expect(await give('promote')).toBe('0 version 4 of lineage default is live\n')
    expect(await give('pin', '--version', '3')).toBe('0 version 3 of lineage default is pinned\n')
    expect(await give('unpin')).toBe(
      '0 version 3 of lineage default is pinned no longer: newer ones are tested again\n',
    )
    expect(await give('rollback', '--version', '3')).toBe(
      '0 version 3 of lineage default is off traffic; version 2 is live\n',
    )
    expect(await give('rollback')).toBe('0 version 2 of lineage default is off traffic; no version is live\n')
    const by = { by: 'local operator', reason: 'a test' }
    expect(versions.orders).toEqual([
      { order: 'promote', version: 4, ...by },
      { order: 'pin', version: 3, ...by },
      { order: 'unpin', version: 3, ...by },
      { order: 'rollback', version: 3, ...by },
      { order: 'rollback', version: 2, ...by },
    ])
  })

  test.each(['promote', 'rollback', 'pin', 'unpin'])('%s without a reason is no command', async (name) => {
    const { code, err } = await plateau([name])
    expect(code).toBe(2)
    expect(err).toContain('--reason TEXT is missing')
  })

  test('refuses what makes no sense, in its own words', async () => {
    const { address } = await startRolloutServer()
    const give = async (...args: string[]) => {
      const { code, err } = await plateau([...args, '--reason', 'a test', '--admin', address])
      return `${code} ${err}`
    }
    expect(await give('promote', '--version', '3')).toBe(
      '1 plateau promote failed: version 3 is live already (FAILED_PRECONDITION)\n',
    )
    expect(await give('unpin')).toContain('no version of lineage default is pinned (FAILED_PRECONDITION)')
    expect(await give('promote', '--version', '9')).toContain('there is no version 9 of lineage default (NOT_FOUND)')
    expect(await give('pin', '--lineage', 'none')).toContain('lineage none is not served here (NOT_FOUND)')
  })

  test('wants the key of an operator, which stands in a file', async () => {
    const { address, versions } = await startRolloutServer({ keys: true })
    const file = join(temporaryDirectory(), 'key')
    const give = async (key?: string) => {
      if (key !== undefined) writeFileSync(file, key)
      const environment = key === undefined ? {} : { PLATEAU_ADMIN_KEY_FILE: file }
      const order = ['pin', '--reason', 'a test', '--admin', address]
      return plateau(order, { environment: environment as Record<string, string> })
    }
    expect((await give()).err).toMatch(/wants a key: let PLATEAU_ADMIN_KEY_FILE name a file .*\(UNAUTHENTICATED\)/)
    expect((await give('pl_none')).err).toMatch(/does not know the key in .*key \(UNAUTHENTICATED\)/)
    expect((await give('pl_app')).err).toMatch(/key "app" has no right to give orders.*\(PERMISSION_DENIED\)/)
    expect((await give('two words')).err).toContain('should hold one key and nothing else (KEY_UNREADABLE)')
    expect(versions.orders).toEqual([])
    expect(await give('pl_ops\n')).toMatchObject({ code: 0 })
    expect(versions.orders).toMatchObject([{ by: 'ops' }])
  })

  test('that is away, or another service, is said with its address', async () => {
    const environment = { PLATEAU_ADMIN_ADDRESS: '127.0.0.1:1' }
    const { code, err } = await plateau(['rollouts', 'status'], { environment })
    expect(code).toBe(1)
    expect(err).toMatch(/no serving process answers at 127\.0\.0\.1:1: is it running.*\(UNAVAILABLE\)\n$/)
    const other = await startServer({ address: '127.0.0.1:0', services: [] })
    onTestFinished(() => other.drain(0))
    const wrong = await plateau(['rollouts', 'status', '--admin', other.address])
    expect(wrong.err).toMatch(/is no admin address: .*\(UNIMPLEMENTED\)/)
  })
})
