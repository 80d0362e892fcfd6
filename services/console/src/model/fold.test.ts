import { DraftCheckpoint, frameConfluent, RolloutOrderKind, topics } from '@plateau/contracts'
import { describe, expect, it } from 'vitest'
import { event, evidence, foldAll, foldOne, NOW_MS } from '../testing/parts.js'
import { plausibleHistory } from '../testing/history.js'
import { logRecord, sent } from '../testing/records.js'
import { measures } from './counts.js'
import { fold } from './fold.js'
import { bounds, emptyState } from './state.js'

const counted = {
  numDrafts: 10,
  numDraftTokens: 40,
  numAcceptedTokens: 20,
  numEmittedTokens: 30,
  alphaSum: 12,
  alphaPositions: 20,
}
const interval = { fromMs: NOW_MS - 2_000, toMs: NOW_MS - 1_000 }

describe('a record that comes again', () => {
  it('changes nothing, whatever it is about', () => {
    const options = { seed: 3, endMs: NOW_MS, minutes: 20, minutesPerVersion: 4 }
    const once = foldAll(plausibleHistory(options))
    const twice = foldAll(plausibleHistory(options).flatMap((record) => [record, record]))
    expect(twice).toEqual(once)
    const totals = ({ lineages }: typeof once) =>
      [...lineages.values()].map(({ acceptance }) => acceptance.totals('version', 0, NOW_MS))
    expect(totals(twice)).toEqual(totals(once))
  })

  it('is told by its id, not by its content', () => {
    const state = emptyState()
    const report = { draftVersion: '1', ...counted, ...interval }
    expect(foldOne(state, sent.acceptance('a', report))).toBe('applied')
    expect(foldOne(state, sent.acceptance('a', report))).toBe('duplicate')
    expect(foldOne(state, sent.acceptance('b', report))).toBe('applied')
    expect(state.lineages.get('default')!.versions.get(1)!.acceptance.total.draftTokens).toBe(80)
  })
})

describe('a record that cannot be used', () => {
  const good = sent.rollout('good', { version: 1, atMs: NOW_MS })
  const raw = logRecord(good)
  it.each([
    ['is no Protobuf', { ...raw, value: Buffer.from('ffffff', 'hex') }],
    ['ends too soon', { ...raw, value: raw.value!.subarray(0, 5) }],
    ['begins like a frame and is none', { ...raw, value: Buffer.from([0, 1]) }],
    ['has no headers', { ...raw, headers: {} }],
    ['is another message', { ...raw, headers: logRecord(sent.drift('d', {})).headers }],
    ['is of a later schema', logRecord(sent.rollout('later', { version: 1, schemaVersion: 2 }))],
    ['names no lineage', logRecord(sent.rollout('nobody', { version: 1, lineage: '' }))],
    ['names no version', logRecord(sent.rollout('none', { version: 0 }))],
    ['names no server', logRecord(sent.rollout('nowhere', { version: 1, server: '' }))],
    ['is from the future', logRecord(sent.rollout('future', { version: 1, atMs: NOW_MS + 3_600_000 }))],
    [
      'has an alpha that is no number',
      logRecord(sent.acceptance('nan', { draftVersion: '1', ...interval, alphaSum: Number.NaN })),
    ],
    ['is on another topic', { ...raw, topic: topics.scoredTokens.name }],
  ])('because it %s is counted, and changes nothing else', (_, record) => {
    const state = emptyState()
    expect(fold(state, record, NOW_MS)).toBe('malformed')
    expect(state.malformed).toEqual(new Map([[record.topic, 1]]))
    expect(state.lineages.size).toBe(0)
  })
})

it("a value in Confluent's frame is read as well", () => {
  const record = logRecord(sent.checkpoint('framed', { version: 4 }))
  const framed = { ...record, value: frameConfluent(7, topics.draftCheckpoints.schema.messageIndex, record.value!) }
  const state = emptyState()
  expect(fold(state, framed, NOW_MS)).toBe('applied')
  expect(state.lineages.get('default')!.versions.get(4)!.announced).toEqual(DraftCheckpoint.decode(record.value!))
})

it('acceptance adds up by version, tenant, domain and time; copies and plain decoding are no drafts', () => {
  const about = { ...counted, ...interval }
  const state = foldAll([
    sent.acceptance('1', { draftVersion: '3', tenant: 'acme', domain: 'chat', ...about }),
    sent.acceptance('2', { draftVersion: '3', tenant: '', domain: 'chat', ...about, server: 'serving-b' }),
    sent.acceptance('3', { draftVersion: 'prompt-lookup', tenant: 'acme', domain: 'chat', ...about }),
    sent.acceptance('4', { draftVersion: '0', tenant: 'acme', domain: 'chat', numEmittedTokens: 99, ...interval }),
  ])
  const lineage = state.lineages.get('default')!
  expect([...lineage.versions.keys()]).toEqual([3])
  const { total, tenants, domains } = lineage.versions.get(3)!.acceptance
  expect([measures.rate(total), measures.length(total), measures.alpha(total)]).toEqual([0.5, 3, 0.6])
  expect([...tenants.keys()]).toEqual(['acme', ''])
  expect(domains.get('chat')!.draftTokens).toBe(80)
  expect(lineage.acceptance.totals('tenant', NOW_MS - 60_000, NOW_MS).map(([name]) => name)).toEqual(['acme', ''])
  const series = lineage.acceptance.series((name) => name === 'prompt-lookup', NOW_MS - 60_000, NOW_MS, 5_000)
  expect(series.map(({ counts }) => counts.draftTokens)).toEqual([40])
  expect([...lineage.servers.keys()]).toEqual(['serving-a', 'serving-b'])
})

it('what is older than a day is counted for its version, and not shown over time', () => {
  const old = { fromMs: NOW_MS - 90_000_000, toMs: NOW_MS - 89_999_000 }
  const lineage = foldAll([sent.acceptance('old', { draftVersion: '1', ...counted, ...old })]).lineages.get('default')!
  expect(lineage.versions.get(1)!.acceptance.total.draftTokens).toBe(40)
  expect(lineage.acceptance.oldestMs()).toBeUndefined()
})

describe('which version a server has live', () => {
  const live = (...records: Parameters<typeof foldAll>[0][number][]) =>
    foldAll(records).lineages.get('default')!.servers.get('serving-a')!.liveVersion

  it('is the newest that it said so of', () => expect(live(event(1, 'LIVE'), event(2, 'LIVE'))).toBe(2))
  it('is what took the place of one that was rolled back', () =>
    expect(live(event(1, 'LIVE'), event(2, 'LIVE'), event(2, 'ROLLED_BACK', { otherVersion: 1 }))).toBe(1))
  it('is none when nothing took its place', () => expect(live(event(1, 'LIVE'), event(1, 'ROLLED_BACK'))).toBe(0))
  it('does not change when an older one is said to be replaced', () =>
    expect(live(event(1, 'LIVE'), event(2, 'LIVE'), event(1, 'REPLACED', { otherVersion: 2 }))).toBe(2))
})

describe('orders', () => {
  const { ROLLOUT_ORDER_KIND_PIN, ROLLOUT_ORDER_KIND_LIVE } = RolloutOrderKind

  it('say what is pinned, until their key is removed', () => {
    const pin = sent.order('pin', {
      kind: ROLLOUT_ORDER_KIND_PIN,
      version: 5,
      orderedBy: 'alice',
      reason: 'why',
      atMs: NOW_MS,
    })
    const state = foldAll([pin])
    expect(state.lineages.get('default')!.pinOrder).toMatchObject({ version: 5, orderedBy: 'alice' })
    fold(state, { ...logRecord(pin), value: null }, NOW_MS)
    expect(state.lineages.get('default')!.pinOrder).toBeUndefined()
  })

  it('tell of a version whose announcement was compacted away', () => {
    const checkpoint = DraftCheckpoint.fromPartial({
      schemaVersion: 1,
      lineage: 'default',
      version: 3,
      kind: 'causal-lm',
    })
    const state = foldAll([sent.order('live', { kind: ROLLOUT_ORDER_KIND_LIVE, version: 3, checkpoint, atMs: NOW_MS })])
    expect(state.lineages.get('default')!.versions.get(3)!.announced).toEqual(checkpoint)
  })
})

it('a policy that was removed is no longer in force', () => {
  const policy = sent.policy('p', { strategy: 'flatness', atMs: NOW_MS })
  const state = foldAll([policy])
  expect(state.lineages.get('default')!.policy?.strategy).toBe('flatness')
  fold(state, { ...logRecord(policy), value: null }, NOW_MS)
  expect(state.lineages.get('default')!.policy).toBeUndefined()
})

describe('what is kept is bounded:', () => {
  it('the newest versions', () => {
    const versions = Array.from({ length: bounds.versions + 3 }, (_, at) =>
      sent.checkpoint(`v${at}`, { version: at + 1 }),
    )
    const { versions: kept } = foldAll(versions).lineages.get('default')!
    expect([kept.size, Math.min(...kept.keys())]).toEqual([bounds.versions, 4])
  })

  it('an old version does not come back in the place of a newer one', () => {
    const versions = Array.from({ length: bounds.versions }, (_, at) => sent.checkpoint(`v${at}`, { version: at + 10 }))
    const { versions: kept } = foldAll([...versions, event(2, 'LIVE')]).lineages.get('default')!
    expect([kept.size, kept.has(2)]).toEqual([bounds.versions, false])
  })

  it('events of a version, servers, tenants', () => {
    const events = Array.from({ length: 150 }, (_, at) => event(1, 'LIVE', { server: `server-${at}` }))
    const reports = Array.from({ length: 100 }, (_, at) =>
      sent.acceptance(`t${at}`, { draftVersion: '1', tenant: `tenant-${at}`, ...counted, ...interval }),
    )
    const lineage = foldAll([...events, ...reports]).lineages.get('default')!
    const version = lineage.versions.get(1)!
    expect(version.events).toHaveLength(bounds.eventsOfVersion)
    expect(version.phases.size).toBe(bounds.servers)
    expect(lineage.servers.size).toBe(bounds.servers)
    expect(version.acceptance.tenants.size).toBe(bounds.names + 1)
    expect(version.acceptance.tenants.get('other')!.drafts).toBe(360)
  })

  it('lineages, and what is left out is counted', () => {
    const announced = Array.from({ length: bounds.lineages + 2 }, (_, at) =>
      sent.checkpoint(`l${at}`, { lineage: `l${at}`, version: 1 }),
    )
    const state = foldAll(announced)
    expect([state.lineages.size, state.leftOut]).toEqual([bounds.lineages, 2])
  })

  it('texts and slices', () => {
    const slices = Array.from({ length: 200 }, (_, at) => ({
      label: 'tenant',
      name: `t${at}`,
      positions: 1,
      value: 0,
      otherValue: 0,
    }))
    const long = event(1, 'REJECTED', { reason: 'x'.repeat(9_000), evidence: evidence({ slices }) })
    const [kept] = foldAll([long]).lineages.get('default')!.recentEvents
    expect(kept!.reason.length).toBeLessThan(bounds.textCharacters + 3)
    expect(kept!.evidence!.slices).toHaveLength(bounds.slices)
  })
})
