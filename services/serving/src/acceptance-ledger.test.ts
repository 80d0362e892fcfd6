import { MetricRegistry } from '@plateau/telemetry'
import { expect, it } from 'vitest'
import { AcceptanceLedger } from './acceptance-ledger.js'
import { BoundedLabels } from './bounded-labels.js'
import { declareServingMetrics } from './serving-metrics.js'
import type { Round } from './response.js'

function ledger(maxVersions = 3) {
  const metrics = declareServingMetrics(new MetricRegistry())
  const bounded = { tenants: new BoundedLabels(2), domains: new BoundedLabels(2) }
  return { metrics, ledger: new AcceptanceLedger({ metrics, ...bounded, maxVersions }) }
}

const round = (proposed: number, accepted: number, alpha: number[] = []): Round => ({
  source: proposed > 0 ? 'draft' : 'none',
  tokens: Array.from({ length: accepted + 1 }, (_, i) => i + 1),
  proposed,
  accepted,
  judged: Math.min(accepted + 1, proposed),
  alpha,
  finish: 0,
})

it('counts as vLLM does: drafts, draft tokens, accepted tokens, by position; the bonus token only as emitted', () => {
  const { ledger: book, metrics } = ledger()
  const share = book.share('7', 'a', 'code')
  book.round(share, round(3, 2, [0.5, 0.75, 0.25]))
  book.round(share, round(3, 0, [0.1, Number.NaN]))
  book.round(share, round(0, 0))
  book.finished(share, false)
  const [entry] = book.takeInterval()
  expect(entry?.counts).toEqual({
    numDrafts: 2,
    numDraftTokens: 6,
    numAcceptedTokens: 2,
    numAcceptedTokensPerPos: [1, 1, 0],
    numEmittedTokens: 5,
    alphaSum: 1.6,
    alphaPositions: 4,
    requestsFinished: 1,
    requestsFailed: 0,
  })
  const labels = { draft_version: '7', tenant: 'a' }
  expect(metrics.drafts.value(labels)).toBe(2)
  expect(metrics.acceptedTokens.value(labels)).toBe(2)
  expect(metrics.acceptedPerPosition.value({ draft_version: '7', position: '1' })).toBe(1)
  expect(metrics.generatedTokens.value(labels)).toBe(5)
})

it('an interval holds what came since the last one', () => {
  const { ledger: book } = ledger()
  const share = book.share('1', 'a', '')
  book.round(share, round(2, 1))
  book.round(share, round(2, 2))
  expect(book.takeInterval().map(({ counts }) => counts.numAcceptedTokens)).toEqual([3])
  expect(book.takeInterval()).toEqual([])
  book.round(share, round(2, 2))
  expect(book.takeInterval().map(({ counts }) => counts.numAcceptedTokens)).toEqual([2])
})

it('tenants above the bound count as "other"', () => {
  const { ledger: book } = ledger()
  for (const tenant of ['a', 'b', 'c', 'd']) book.round(book.share('1', tenant, ''), round(1, 1))
  expect(book.takeInterval().map(({ tenant, counts }) => [tenant, counts.numDrafts])).toEqual([
    ['a', 1],
    ['b', 1],
    ['other', 2],
  ])
})

it('copies from the text are counted apart, and never outdated', () => {
  const { ledger: book, metrics } = ledger(3)
  const share = book.share('7', 'a', '')
  book.round(share, round(2, 1))
  book.round(share, { ...round(4, 3), source: 'lookup' })
  for (const version of ['8', '9', '10']) book.round(book.share(version, 'a', ''), round(1, 1))
  const counted = new Map(book.takeInterval().map(({ draftVersion, counts }) => [draftVersion, counts]))
  expect(counted.get('7')).toMatchObject({ numDrafts: 1, numDraftTokens: 2, numEmittedTokens: 2 })
  expect(counted.get('prompt-lookup')).toMatchObject({ numDrafts: 1, numDraftTokens: 4, numEmittedTokens: 4 })
  expect(metrics.acceptedTokens.value({ draft_version: 'prompt-lookup', tenant: 'a' })).toBe(3)
  expect([...book.totals().keys()]).toContain('prompt-lookup')
})

it('only the newest versions keep their series; plain decoding keeps its own', () => {
  const { ledger: book, metrics } = ledger(3)
  for (const version of ['0', '9', '10', '11', '12']) book.round(book.share(version, 'a', ''), round(1, 1))
  expect([...book.totals().keys()]).toEqual(['0', '11', '12'])
  expect(metrics.drafts.value({ draft_version: '9', tenant: 'a' })).toBe(0)
  expect(metrics.drafts.value({ draft_version: '12', tenant: 'a' })).toBe(1)
})
