import { parseOptions, runSoak, type SoakReport } from '@plateau/soak'
import { beforeAll, expect, test } from 'vitest'

/** Twenty seconds of `npm run soak`, with one kill -9 of each of two services: what it counts, not how fast it is. */
let report: SoakReport

beforeAll(async () => {
  const options = parseOptions(['--minutes', '0.35', '--rps', '3'])!
  const plan = [
    { atMs: 3_000, blow: { kind: 'kill -9', service: 'flatness-scorer' } },
    { atMs: 5_000, blow: { kind: 'kill -9', service: 'serving' } },
  ] as const
  report = await runSoak(options, { signal: new AbortController().signal, say: () => {}, plan })
}, 400_000)

test('every request has an end, and those that failed did so while what they needed was away', () => {
  expect(report.unexplained).toEqual([])
  expect(report.requests.sent).toBe(report.requests.planned)
  expect(report.requests.outcomes['answered']).toBeGreaterThan(10)
})

test('every window that the log acknowledged has one decision and one training record', () => {
  const { acknowledged, problems, ...wrong } = report.audit
  expect(acknowledged).toBeGreaterThan(50)
  expect(problems).toEqual([])
  const { withoutDecision, withTwoDecisions, withoutTrainingRecord, withTwoTrainingIds, trainerOffBy } = wrong
  expect({ withoutDecision, withTwoDecisions, withoutTrainingRecord, withTwoTrainingIds, trainerOffBy }).toEqual({
    withoutDecision: 0,
    withTwoDecisions: 0,
    withoutTrainingRecord: 0,
    withTwoTrainingIds: 0,
    trainerOffBy: 0,
  })
})

test('both services were away, and nothing else ended', () => {
  expect(report.outages.map(({ what }) => what)).toEqual(['kill -9 flatness-scorer', 'kill -9 serving'])
  expect(report.endings).toEqual([])
})
