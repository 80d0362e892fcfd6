/**
 * One tenant floods the stream that a shared draft learns from, with text that goes on as no other tenant's does. What it
 * costs the others is measured as alpha on text of theirs that nobody was trained on.
 */
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { expect, test } from 'vitest'
import { LEARNED_FROM_NOBODY } from './kinds/learned-from.js'
import { declareTrainerMetrics } from './metrics.js'
import { acceptedWindow, defaults, Teacher, useKind } from './testing.js'
import { TenantShare } from './tenant-share.js'
import type { AcceptedRecord } from './training-record.js'

const teacher = new Teacher()
/** Of the same target, in whose text after every state and token comes something else. */
const contrary = new Teacher(2)
const WINDOWS = 240
const FLOOD = 15

const honest: readonly AcceptedRecord[] = Array.from({ length: WINDOWS }, (_, i) => ({
  ...acceptedWindow(teacher, i),
  tenant: ['acme', 'globex', 'initech'][i % 3]!,
}))
const poison: readonly AcceptedRecord[] = Array.from({ length: WINDOWS * FLOOD }, (_, i) => ({
  ...acceptedWindow(contrary, WINDOWS + i),
  tenant: 'mallory',
}))
const unseen = Array.from({ length: 40 }, (_, i) => acceptedWindow(teacher, 100_000 + i).rows)

/** Mean alpha on the others' text, and how much of what was learned from came from the one that floods. */
function learnedBeside(flood: readonly AcceptedRecord[], share: number): Promise<{ alpha: number; poisoned: number }> {
  return useKind(teacher.model, defaults, async (kind) => {
    const tenants = new TenantShare({ share, floorPositions: 480 })
    const learner = await kind.open({
      lineage: 'test',
      logger: silentLogger,
      metrics: declareTrainerMetrics(new MetricRegistry()),
      clock: () => 0,
      others: async () => [],
      forgotten: () => [],
      policy: undefined,
      incumbent: kind.initial(),
      first: async () => ({ model: kind.initial(), ...LEARNED_FROM_NOBODY }),
      incumbentFrom: LEARNED_FROM_NOBODY,
      saved: undefined,
    })
    let [positions, poisoned] = [0, 0]
    for (const [i, own] of honest.entries()) {
      for (const window of [own, ...flood.slice(i * FLOOD, (i + 1) * FLOOD)]) {
        if (!tenants.take(window.tenant, window.rows.length, i * 100)) continue
        positions += window.rows.length
        if (window.tenant === 'mallory') poisoned += window.rows.length
        await learner.admit(window)
      }
    }
    await learner.refresh([])
    const [candidate] = await learner.candidates([])
    const { alpha } = await learner.score(candidate!.model, unseen)
    await learner.release()
    return { alpha: alpha.reduce((sum, value) => sum + value, 0) / alpha.length, poisoned: poisoned / positions }
  })
}

test('a tenant that floods costs the others little where its share is bounded, and most where it is not', async () => {
  const alone = await learnedBeside([], 1)
  const unbounded = await learnedBeside(poison, 1)
  const half = await learnedBeside(poison, 0.5)
  const quarter = await learnedBeside(poison, 0.25)
  expect([unbounded.poisoned > 0.9, half.poisoned < 0.55, quarter.poisoned < 0.3]).toEqual([true, true, true])
  // The worst there can be: a draft that reads nothing but state and token cannot tell whose text it is in.
  expect(unbounded.alpha).toBeLessThan(0.4 * alone.alpha)
  expect(half.alpha).toBeGreaterThan(0.6 * alone.alpha)
  expect(quarter.alpha).toBeGreaterThan(0.8 * alone.alpha)
})
