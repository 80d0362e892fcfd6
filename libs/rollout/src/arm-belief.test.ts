import { normal, seededRandom } from '@plateau/speculation'
import { expect, it } from 'vitest'
import { ArmBelief } from './arm-belief.js'

it('the standard error of an acceptance is how far it is off, where responses differ', () => {
  const random = seededRandom(1)
  const [estimates, errors]: [number[], number[]] = [[], []]
  for (let run = 0; run < 300; run++) {
    const belief = new ArmBelief()
    for (let i = 0; i < 100; i++) {
      const own = Math.min(1, Math.max(0, 0.6 + 0.15 * normal(random)))
      const judged = 10 + Math.floor(60 * random())
      let accepted = 0
      for (let j = 0; j < judged; j++) if (random() < own) accepted++
      belief.observe(accepted, judged, 2_000)
    }
    estimates.push(belief.rate)
    errors.push(belief.standardError(0))
  }
  const off = Math.sqrt(mean(estimates.map((rate) => (rate - 0.6) ** 2)))
  expect(mean(errors) / off).toBeGreaterThan(0.85)
  expect(mean(errors) / off).toBeLessThan(1.15)
})

it('forgets by proposals, and of one response is no surer than of single proposals', () => {
  const belief = new ArmBelief()
  belief.observe(40, 40, 1_000)
  expect(belief.standardError(0)).toBeGreaterThan(0.02)
  for (let i = 0; i < 200; i++) belief.observe(0, 40, 1_000)
  expect(belief.rate).toBeLessThan(1e-3)
  expect(belief.judged).toBeLessThan(1_030)
})

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, x) => sum + x, 0) / numbers.length
}
