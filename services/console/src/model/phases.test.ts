import { RolloutOrderKind } from '@plateau/contracts'
import { describe, expect, it } from 'vitest'
import { event, evidence, foldAll, NOW_MS } from '../testing/parts.js'
import { sent, type SentRecord } from '../testing/records.js'
import { evidenceInWords, explain, signed } from './explain.js'
import { gatherServers } from './gather.js'
import { candidates, liveVersion, phaseOf, pinnedVersion, presentServers } from './phases.js'

const lineageOf = (...records: SentRecord[]) => foldAll(records).lineages.get('default')!
const phase = (version: number, ...records: SentRecord[]) => {
  const lineage = lineageOf(...records)
  return phaseOf(lineage, lineage.versions.get(version)!)
}
const retire = (version: number) =>
  sent.order(`retire-${version}`, {
    kind: RolloutOrderKind.ROLLOUT_ORDER_KIND_RETIRE,
    version,
    reason: 'withdrawn',
    orderedBy: 'alice',
    atMs: NOW_MS,
  })

describe('the phase of a version', () => {
  it('is what was said of it last', () => {
    expect(phase(2, event(2, 'ANNOUNCED'), event(2, 'SHADOW'))).toBe('shadow')
    expect(phase(2, event(2, 'CANARY'), event(2, 'REJECTED'))).toBe('rejected')
  })
  it('is announced while no server has spoken of it', () =>
    expect(phase(2, sent.checkpoint('c', { version: 2 }))).toBe('announced'))
  it('is live where any server still has it live, whatever another one says', () =>
    expect(phase(2, event(2, 'LIVE'), event(2, 'REJECTED', { server: 'serving-b' }))).toBe('live'))
  it('is confirmed once a server that has it live says so', () =>
    expect(phase(2, event(2, 'LIVE'), event(2, 'CONFIRMED'))).toBe('confirmed'))
  it('is replaced when another one is live, even if nobody said so', () =>
    expect(phase(2, event(2, 'LIVE'), event(3, 'LIVE'))).toBe('replaced'))
  it('does not change with a pin', () => expect(phase(2, event(2, 'LIVE'), event(2, 'PINNED'))).toBe('live'))
  it('is retired after an order, unless it says more that it was rolled back', () => {
    expect(phase(2, event(2, 'VERIFIED'), retire(2))).toBe('retired')
    expect(phase(2, event(2, 'LIVE'), event(2, 'ROLLED_BACK'), retire(2))).toBe('rolled back')
  })
})

it('the live version is what most servers say; the rest is told by the numbers', () => {
  const on = (server: string, version: number) => event(version, 'LIVE', { server })
  expect(liveVersion(lineageOf(on('a', 3), on('b', 3), on('c', 2)))).toMatchObject({ version: 3, servers: 2, of: 3 })
  expect(liveVersion(lineageOf(event(1, 'ANNOUNCED')))).toBeUndefined()
})

it('a server that ended long ago has no say', () => {
  const lineage = lineageOf(
    event(1, 'LIVE', { server: 'old', atMs: NOW_MS - 3_600_000 }),
    event(2, 'LIVE', { server: 'new', atMs: NOW_MS }),
  )
  expect(presentServers(lineage).map(({ name }) => name)).toEqual(['new'])
  expect(liveVersion(lineage)).toMatchObject({ version: 2, of: 1 })
})

it('candidates are newer than the live version and not refused, newest first', () => {
  const lineage = lineageOf(
    event(1, 'VERIFIED'),
    event(2, 'LIVE'),
    event(3, 'REJECTED'),
    event(4, 'CANARY'),
    event(5, 'SHADOW'),
  )
  expect(candidates(lineage).map(({ version, phase: now }) => [version.version, now])).toEqual([
    [5, 'shadow'],
    [4, 'canary'],
  ])
})

it('unpinning ends a pin', () => {
  const order = (id: string, kind: 'PIN' | 'UNPIN', version: number) =>
    sent.order(id, { kind: RolloutOrderKind[`ROLLOUT_ORDER_KIND_${kind}`], version, atMs: NOW_MS })
  expect(pinnedVersion(lineageOf(order('1', 'PIN', 4)))).toBe(4)
  expect(pinnedVersion(lineageOf(order('1', 'PIN', 4), order('2', 'UNPIN', 0)))).toBe(0)
})

describe('the one sentence', () => {
  const say = (version: number, ...records: SentRecord[]) => {
    const lineage = lineageOf(...records)
    return explain(lineage, lineage.versions.get(version)!)
  }
  it('says why a version was rejected', () =>
    expect(say(3, event(3, 'REJECTED', { reason: 'worse after 143 live pairs' }))).toBe(
      'Version 3 was rejected: worse after 143 live pairs.',
    ))
  it('says who ordered it, and what took its place', () =>
    expect(
      say(3, event(3, 'LIVE'), event(3, 'ROLLED_BACK', { otherVersion: 2, orderedBy: 'alice', reason: 'complaints' })),
    ).toBe('Version 3 was rolled back, and version 2 took its place by order of alice: complaints.'))
  it('says why a replaced version had gone live', () =>
    expect(
      say(
        3,
        event(3, 'LIVE', { reason: 'not worse' }),
        event(4, 'LIVE'),
        event(3, 'REPLACED', { otherVersion: 4, reason: 'newer' }),
      ),
    ).toBe('Version 3 was live until version 4 took its place; it went live: not worse.'))
  it('has the numbers where nobody gave a reason', () =>
    expect(say(3, event(3, 'CONFIRMED', { evidence: evidence() }))).toBe(
      'Version 3 is live, and confirmed: +0.021 (+0.004 to +0.038) over 412 positions, margin 0.030.',
    ))
  it('ends where nothing is known', () =>
    expect(say(3, event(3, 'VERIFIED'))).toBe('Version 3 is verified and waits for its turn.'))
})

it('numbers have their sign, and none is invented', () => {
  expect([0.0214, -0.05, 0.0001, -0.0001, Number.NaN].map(signed)).toEqual([
    '+0.021',
    '−0.050',
    '0.000',
    '0.000',
    'none',
  ])
  expect(evidenceInWords(evidence({ low: Number.NEGATIVE_INFINITY }))).toContain('none to +0.038')
})

it('what servers say alike within a minute is one thing, and what one says twice is two', () => {
  const { recentEvents } = lineageOf(
    event(1, 'LIVE', { server: 'a' }),
    event(1, 'LIVE', { server: 'b' }),
    event(1, 'LIVE', { server: 'a' }),
    event(1, 'LIVE', { server: 'c', reason: 'other' }),
  )
  expect(gatherServers(recentEvents).map(({ servers }) => servers)).toEqual([['a', 'b'], ['a'], ['c']])
})
