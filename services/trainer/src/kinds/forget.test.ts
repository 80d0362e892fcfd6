import { EVERY_TENANT, tenantDigest } from '@plateau/checkpoints'
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { expect, test } from 'vitest'
import { declareTrainerMetrics } from '../metrics.js'
import { acceptedWindow, defaults, Teacher, useKind, type BenchOptions } from '../testing.js'
import type { AcceptedRecord } from '../training-record.js'
import type { Learner } from './draft-kind.js'
import { LEARNED_FROM_NOBODY, type LearnedFrom } from './learned-from.js'

const teacher = new Teacher()
const windowsOf = (tenant: string, changes: Partial<AcceptedRecord> = {}): AcceptedRecord[] =>
  Array.from({ length: 30 }, (_, offset) => ({ ...acceptedWindow(teacher, offset), tenant, ...changes }))

async function withLearner(
  options: Partial<BenchOptions>,
  windows: readonly AcceptedRecord[],
  use: (learner: Learner<unknown>, refused: number) => Promise<void>,
  incumbentFrom: LearnedFrom = LEARNED_FROM_NOBODY,
): Promise<void> {
  const metrics = declareTrainerMetrics(new MetricRegistry())
  await useKind(teacher.model, { ...defaults, ...options }, async (kind) => {
    const learner = await kind.open({
      lineage: 'test',
      logger: silentLogger,
      metrics,
      clock: () => 0,
      others: async () => [],
      forgotten: () => [],
      policy: undefined,
      incumbent: kind.initial(),
      first: async () => ({ model: kind.initial(), ...LEARNED_FROM_NOBODY }),
      incumbentFrom,
      saved: undefined,
    })
    for (const window of windows) await learner.admit(window)
    await use(learner, metrics.unusable.value({ reason: 'SUMS_FULL' }))
    await learner.release()
  })
}

const forgets = (learner: Learner<unknown>, tenant: string): Promise<boolean> =>
  learner.forget({ tenant, isForgotten: (window) => window.tenant === tenant, calibration: [] })

const three = ['a', 'b', 'c'].flatMap((tenant) => windowsOf(tenant))

test('of a tenant for whom no cell of sums is left nothing is kept that could not be forgotten', () =>
  withLearner({ sumCells: 2, draftVocabulary: 24 }, three, async (learner, refused) => {
    expect(refused).toBe(30)
    expect((await learner.state()).facts).toMatchObject({ counts: { tenants: ['a', 'b'] } })
    expect(await forgets(learner, 'c')).toBe(false)
    expect(await forgets(learner, 'b')).toBe(true)
  }))

test('gradients that used the windows of a tenant without sums begin again when it is forgotten', () =>
  withLearner({ sumCells: 2, gradients: true }, three, async (learner) => {
    await learner.refresh([])
    while ((await learner.step({ unseen: [], calibration: [] })).isTaken);
    expect((await learner.state()).facts).toMatchObject({
      turns: { tenantDigests: expect.arrayContaining([tenantDigest('c')]) as unknown },
    })
    expect(await forgets(learner, 'c')).toBe(true)
    expect((await learner.state()).facts).toMatchObject({ turns: { tenantDigests: [] }, steps: 0 })
  }))

test('a causal-lm begins again where its tokens were chosen by what a tenant used', () =>
  withLearner({ draft: 'causal-lm', draftVocabulary: 24 }, windowsOf('them', { keep: false }), async (learner) => {
    expect(await forgets(learner, 'nobody')).toBe(false)
    expect(await forgets(learner, 'them')).toBe(true)
    expect(await forgets(learner, 'them')).toBe(false)
  }))

test.each([
  [[tenantDigest('them')], ['them'], ['us']],
  [[EVERY_TENANT], ['them', 'us'], []],
])(
  'a causal-lm that goes on from a version alone has learned from whom that says: %j',
  (gradientTenants, its, others) =>
    withLearner(
      { draft: 'causal-lm' },
      [],
      async (learner) => {
        for (const tenant of others) expect(await forgets(learner, tenant)).toBe(false)
        expect(await forgets(learner, its[0]!)).toBe(true)
        for (const tenant of its) expect(await forgets(learner, tenant)).toBe(false)
      },
      { gradientTenants, sumTenants: [] },
    ),
)

test('candidates say whose windows are in them, of gradients and of sums apart', () =>
  withLearner({ sumCells: 2, gradients: true }, three, async (learner) => {
    await learner.refresh([])
    while ((await learner.step({ unseen: [], calibration: [] })).isTaken);
    const [solved, trained] = await learner.candidates([])
    const [ab, abc] = [
      ['a', 'b'],
      ['a', 'b', 'c'],
    ].map((names) => names.map(tenantDigest).toSorted())
    expect(solved).toMatchObject({ name: 'closed-form', gradientTenants: [], sumTenants: ab })
    expect(trained).toMatchObject({ name: 'gradients', gradientTenants: abc, sumTenants: ab })
    await forgets(learner, 'a')
    const [foundation, first] = await learner.foundations()
    expect(foundation).toMatchObject({ gradientTenants: [], sumTenants: [tenantDigest('b')] })
    expect(first).toMatchObject(LEARNED_FROM_NOBODY)
  }))
