import type { DraftRows, DraftScores } from '@plateau/inference'
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { expect, test } from 'vitest'
import { Contest } from './contest.js'
import type { Rival, VersionFacts } from './draft-line.js'
import { LEARNED_FROM_NOBODY } from './kinds/learned-from.js'
import { declareTrainerMetrics } from './metrics.js'
import { acceptedWindow, Teacher } from './testing.js'

/** Drafts are numbers here: their alpha at every position. */
const teacher = new Teacher()
const windows: DraftRows[] = Array.from({ length: 20 }, (_, i) => acceptedWindow(teacher, i).rows)
const training = { trainedThrough: [], trainedPositions: 7, policy: '' }

async function contest(alpha: number, rivals: readonly [Rival<number>, ...Rival<number>[]]) {
  const published: VersionFacts[] = []
  const metrics = declareTrainerMetrics(new MetricRegistry())
  const held = new Contest<number>(
    { minPublishMs: 0 },
    {
      line: {
        version: 9,
        publishedAtMs: 0,
        rivals: async () => rivals,
        publish: async (_, facts) => published.push(facts),
      },
      kind: {
        encode: (model) => [{ path: 'alpha', bytes: Buffer.from(String(model)) }],
        decode: (files) => Number(Buffer.from(files.get('alpha')!).toString()),
        costOf: () => 0,
      },
      learner: {
        candidates: async () => [{ name: 'gradients', model: alpha, ...LEARNED_FROM_NOBODY }],
        judged: () => {},
        score: async (model, rows): Promise<DraftScores> => {
          const positions = rows.reduce((sum, { length }) => sum + length, 0)
          const ofAll = (value: number) => new Float64Array(positions).fill(value)
          return { alpha: ofAll(model), greedyMatch: new Uint8Array(positions) }
        },
      },
      metrics,
      logger: silentLogger,
      clock: () => 1000,
    },
  )
  await held.hold({ unseen: windows, calibration: [] }, training, {})
  return { parentAlpha: published.map(({ evaluation }) => evaluation.parentAlpha), metrics }
}

test('a candidate has to be better than the newest version by more than a hair', async () => {
  expect((await contest(0.5, [{ version: 9, model: 0.45 }])).parentAlpha).toEqual([expect.closeTo(0.45)])
  expect((await contest(0.5, [{ version: 9, model: 0.499 }])).parentAlpha).toEqual([])
})

test('where serving refused the newest one, it has to be better than that and than the live one', async () => {
  const [live, refused] = [(model: number) => ({ version: 4, model }), (model: number) => ({ version: 9, model })]
  expect((await contest(0.5, [live(0.45), refused(0.4)])).parentAlpha).toEqual([expect.closeTo(0.45)])
  // A little better than what was refused would be refused again.
  expect((await contest(0.5, [live(0.55), refused(0.4)])).parentAlpha).toEqual([])
  // What was refused is not to be published again, whatever is live.
  const { parentAlpha, metrics } = await contest(0.5, [live(0.4), refused(0.5)])
  expect(parentAlpha).toEqual([])
  expect(metrics.alpha.value({ draft: 'incumbent' })).toBeCloseTo(0.4)
  expect(metrics.alpha.value({ draft: 'refused' })).toBeCloseTo(0.5)
})
