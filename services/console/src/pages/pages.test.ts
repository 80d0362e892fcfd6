import { describe, expect, it } from 'vitest'
import { DriftKind, RolloutOrderKind } from '@plateau/contracts'
import { Manifests } from '../manifests.js'
import { emptyState } from '../model/state.js'
import { plausibleHistory } from '../testing/history.js'
import { event, evidence, foldAll, NOW_MS } from '../testing/parts.js'
import { sent, type SentRecord } from '../testing/records.js'
import { versionStory } from '../version-facts.js'
import { acceptanceCharts, changeOf, rangeOf } from './acceptance-charts.js'
import { intervalBar } from './interval-bar.js'
import { page } from './layout.js'
import { overviewPage } from './overview.js'
import { timeChart } from './time-chart.js'
import { versionPage } from './version.js'
import { versionsPage, versionsQuery } from './versions.js'

const noFiles = new Manifests(undefined, undefined)
const history = plausibleHistory({ seed: 7, endMs: NOW_MS, minutes: 40, minutesPerVersion: 4 })

/** The page as a person reads it. */
const textOf = ({ markup }: { markup: string }) => markup.replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ')
const overview = (...records: SentRecord[]) => overviewPage(foldAll(records), null, NOW_MS)

async function versionOf(version: number, ...records: SentRecord[]) {
  const state = foldAll(records)
  const lineage = state.lineages.get('default')!
  const story = (await versionStory(lineage, version, noFiles))!
  return versionPage({ state, lineage, story, nowMs: NOW_MS })
}

describe('the overview', () => {
  it('says that there is nothing while there is nothing', () =>
    expect(textOf(overviewPage(emptyState(), null, NOW_MS))).toContain('Nothing yet'))

  it('says what is live and why, what is on its way, and what happened', () => {
    const text = textOf(overview(...history))
    expect(text).toMatch(/Live v9 . confirmed since/)
    expect(text).toContain(
      'Version 9 is live, and confirmed: not worse than the version before it by more than the margin.',
    )
    expect(text).toMatch(/On their way v10 . canary/)
    expect(text).toContain('all 2 servers')
    expect(text).toContain('flatness shifted')
    expect(text).toContain('50.0 % of windows by flatness')
    expect(text).not.toMatch(/undefined|NaN|\[object/)
  })

  it('says that servers differ', () =>
    expect(
      textOf(
        overview(
          event(2, 'LIVE', { server: 'a' }),
          event(3, 'LIVE', { server: 'b' }),
          event(3, 'LIVE', { server: 'c' }),
        ),
      ),
    ).toContain('2 of 3 servers'))

  it('says what is pinned, by whom and why', () => {
    const kind = RolloutOrderKind.ROLLOUT_ORDER_KIND_PIN
    const pin = sent.order('pin', { kind, version: 2, orderedBy: 'alice', reason: 'the campaign', atMs: NOW_MS })
    expect(textOf(overview(event(2, 'LIVE'), pin))).toMatch(/pinned to v2 by alice: the campaign/)
  })

  it('says when servers have gone silent', () => {
    expect(textOf(overview(event(2, 'LIVE', { atMs: NOW_MS - 600_000 })))).toContain(
      'No server of this lineage has reported for 10 min',
    )
    expect(textOf(overview(event(2, 'LIVE', { atMs: NOW_MS })))).not.toContain('Silent')
  })

  it('marks a reason from outside as the text it is', () => {
    const hostile = '<img src=x onerror=alert(1)>'
    const records = [
      event(2, 'LIVE', { reason: hostile, server: hostile, orderedBy: hostile }),
      sent.checkpoint('c', { lineage: hostile, version: 1 }),
      sent.drift('d', {
        kind: DriftKind.DRIFT_KIND_ACCEPTANCE_FELL,
        reason: hostile,
        tenant: hostile,
        domain: hostile,
        atMs: NOW_MS,
      }),
      sent.policy('p', { strategy: hostile, evidence: hostile, atMs: NOW_MS }),
      sent.acceptance('a', {
        draftVersion: '2',
        tenant: hostile,
        domain: hostile,
        numEmittedTokens: 5,
        fromMs: NOW_MS - 2,
        toMs: NOW_MS,
      }),
    ]
    const { markup } = overview(...records)
    expect(markup).not.toContain('<img')
    expect(markup.split('&lt;img src=x onerror=alert(1)&gt;').length).toBeGreaterThan(8)
  })
})

describe('the page of a version', () => {
  it('begins with one sentence, and has every comparison with its interval', async () => {
    const text = textOf(await versionOf(6, ...history))
    expect(text).toContain('Version 6 was rolled back, and version 5 took its place: worse than the version before it')
    expect(text).toMatch(/Trainer's held-out windows .* alpha 0\.587 against 0\.579 of its parent \( \+0\.008 \)/)
    expect(text).toMatch(/Held-out windows in shadow, against v5/)
    expect(text).toMatch(
      /Live pairs when it was rolled back, against v5, by serving-a\S+ worse : −0\.052 \(−0\.070 to −0\.034\)/,
    )
    expect(text).toMatch(/tenant acme/)
    expect(text).not.toMatch(/undefined|NaN|\[object/)
  })

  it('tells what happened in the order of time, with servers and orders', async () => {
    const text = textOf(await versionOf(6, ...history))
    const order = [
      ' published ',
      '○ announced',
      '◔ verified',
      '◑ shadow',
      '◕ canary',
      '● live',
      '↩ rolled back',
      'order: retire',
    ]
    const timeline = text.slice(text.indexOf('What happened'), text.indexOf('Where it comes from'))
    const places = order.map((what) => timeline.replaceAll(/ +/g, ' ').indexOf(what))
    expect(places).toEqual(places.toSorted((a, b) => a - b))
    expect(places).not.toContain(-1)
    expect(timeline).toMatch(/serving-\S+, serving-\S+/)
  })

  it('offers the commands that fit its state, and none for one that is out for good', async () => {
    const promote = /plateau promote --lineage default --version (\d+) --reason/
    expect(textOf(await versionOf(10, ...history))).toMatch(promote)
    expect(textOf(await versionOf(9, ...history))).not.toMatch(promote)
    expect(textOf(await versionOf(9, ...history))).toContain('plateau rollback --lineage default --version 9')
    expect(textOf(await versionOf(6, ...history))).not.toMatch(/plateau (promote|pin|rollback)/)
  })

  it('escapes what evidence says', async () => {
    const slices = [{ label: 'tenant', name: '<b>', positions: 1, value: 0, otherValue: 0 }]
    const { markup } = await versionOf(2, event(2, 'LIVE', { evidence: evidence({ comparison: '<i>', slices }) }))
    expect(markup).not.toMatch(/<b>|<i>/)
  })

  it('survives numbers that are none', async () => {
    const broken = evidence({ low: Number.NEGATIVE_INFINITY, high: Number.NaN, margin: Number.NaN, value: Number.NaN })
    expect(textOf(await versionOf(2, event(2, 'REJECTED', { evidence: broken })))).toContain('no interval')
  })

  it('is none for a version that nobody knows', async () => {
    const lineage = foldAll(history).lineages.get('default')!
    expect(await versionStory(lineage, 99, noFiles)).toBeUndefined()
  })
})

describe('the list of versions', () => {
  const list = async (query: string) =>
    textOf(await versionsPage(foldAll(history), versionsQuery(new URLSearchParams(query)), noFiles, NOW_MS))

  it('has all of them, newest first', async () => {
    const versions = [...(await list('')).matchAll(/default v(\d+)/g)].map(([, version]) => Number(version))
    expect(versions).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
  })
  it('can be had by state and by lineage', async () => {
    expect([...(await list('state=rejected')).matchAll(/default v(\d+)/g)].map(([, version]) => version)).toEqual(['3'])
    expect(await list('lineage=frozen')).not.toContain('default v')
    expect(await list('lineage=nobody')).toContain('No version is in this state')
  })
  it('takes no notice of what it does not know', async () => {
    expect(await list('state=constructor&page=-7')).toContain('default v10')
  })
  it('shows fifty at once', async () => {
    const many = Array.from({ length: 60 }, (_, at) => sent.checkpoint(`v${at}`, { version: at + 1 }))
    const shown = await versionsPage(foldAll(many), versionsQuery(new URLSearchParams('page=2')), noFiles, NOW_MS)
    expect(textOf(shown).match(/default v\d+/g)).toHaveLength(10)
    expect(shown.markup).toContain('href="/versions?"')
  })
})

describe('an interval', () => {
  const look = (low: number, high: number) =>
    intervalBar({ difference: (low + high) / 2, low, high, margin: 0.03 }).markup
  it.each([
    [-0.07, -0.04, 'worse'],
    [-0.02, 0.02, 'even'],
    [0.01, 0.03, 'better'],
    [-0.05, 0.03, 'open'],
    [-0.04, -0.02, 'open'],
  ])('from %f to %f is %s', (low, high, verdict) => expect(look(low, high)).toContain(`class="interval ${verdict}"`))

  it('is drawn where it is, zero in the middle', () => {
    const markup = look(-0.02, 0.04)
    const number = (pattern: RegExp) => Number(pattern.exec(markup)![1])
    const [left, width, point] = [
      number(/bar" x="([\d.]+)%/),
      number(/width="([\d.]+)%" height="10"/),
      number(/cx="([\d.]+)%/),
    ]
    expect(left).toBeLessThan(50)
    expect(left + width).toBeGreaterThan(50)
    expect(point).toBeCloseTo(left + width / 2, 1)
    expect(number(/margin" x1="([\d.]+)%/)).toBeLessThan(left)
  })
})

describe('acceptance over time', () => {
  const state = foldAll(history)
  const lineage = state.lineages.get('default')!

  it('has a line for all drafts, others beside, and a marker where a version went live', () => {
    const [rate] = acceptanceCharts({ state, lineage, range: '1h', nowMs: NOW_MS })
    expect(rate!.lines.filter(({ look }) => look !== 'each').map(({ label }) => label)).toEqual([
      'lineage frozen',
      'prompt lookup',
      'all drafts',
    ])
    expect(rate!.markers.filter(({ kind }) => kind === 'back').map(({ label }) => label)).toEqual(['v6 ✕'])
    expect(timeChart(rate!).markup).toMatch(/aria-label="Acceptance rate: .*all drafts from \d+\.\d % to \d+\.\d %/)
  })

  it('breaks the line where nothing was counted', () => {
    const points = [0, 60, 120, 600, 660].map((seconds) => ({ atMs: seconds * 1000, value: 0.5 }))
    const chart = {
      title: '',
      fromMs: 0,
      toMs: 700_000,
      stepMs: 60_000,
      markers: [],
      say: String,
      least: [0, 1] as const,
    }
    const { markup } = timeChart({ ...chart, lines: [{ label: 'a', look: 'main', points }] })
    expect(/class="line main" d="([^"]*)"/.exec(markup)![1]!.match(/M/g)).toHaveLength(2)
  })

  it('says by how much it has changed, and nothing where it is too early', () => {
    const { now, before } = changeOf(lineage, 'alpha', '1h', NOW_MS)
    expect(now! - before!).toBeGreaterThan(0.05)
    const report = {
      draftVersion: '1',
      numDraftTokens: 9,
      numAcceptedTokens: 3,
      numDrafts: 3,
      fromMs: NOW_MS - 9_000,
      toMs: NOW_MS - 8_000,
    }
    const young = foldAll([sent.acceptance('first', report)]).lineages.get('default')!
    expect(changeOf(young, 'rate', '15m', NOW_MS)).toMatchObject({ now: 1 / 3, before: undefined })
  })

  it('begins with the range that fits', () => {
    expect(rangeOf(null, lineage, NOW_MS)).toBe('1h')
    expect(rangeOf('6h', lineage, NOW_MS)).toBe('6h')
    expect(rangeOf('constructor', undefined, NOW_MS)).toBe('15m')
  })
})

it('a page says what it could not read', () => {
  const problem = (what: 'reading' | 'missing' | 'away') => ({ topic: `topic-${what}`, what, sinceMs: 0 })
  const sources = {
    problems: (['reading', 'missing', 'away'] as const).map(problem),
    malformed: [['t', 3] as const],
    leftOut: 2,
  }
  const text = textOf(page({ title: 'x', at: 'other', main: '', sources }))
  expect(text).toContain(
    'The event log does not answer. What is shown is what was read before; it is asked again every second. Topics: topic-away.',
  )
  expect(text).toContain('have been seen: topic-reading.')
  expect(text).toContain('Nobody has created topic-missing')
  expect(text).toContain('3 of t')
  expect(text).toContain('2 records of further ones')
})
