import { normal, seededRandom } from '@plateau/speculation'
import { describe, expect, it } from 'vitest'
import { DesignEffect } from './design-effect.js'

function effectOf(responses: number, length: number, of: (response: number) => number): number {
  const effect = new DesignEffect()
  for (let r = 0; r < responses; r++) for (let i = 0; i < length; i++) effect.observe(of(r), `${r}`)
  return effect.value
}

describe('the design effect', () => {
  it('is 1 of unrelated positions, and the length of responses that are alike throughout', () => {
    const random = seededRandom(1)
    expect(effectOf(400, 16, () => normal(random))).toBeLessThan(1.2)
    const centres = Array.from({ length: 400 }, () => normal(random))
    expect(effectOf(400, 16, (r) => centres[r]!)).toBeGreaterThan(15.5)
  })

  it('between the two is 1 + (n - 1) times the share of variance between responses', () => {
    const random = seededRandom(2)
    const centres = Array.from({ length: 800 }, () => normal(random))
    expect(Math.abs(effectOf(800, 16, (r) => centres[r]! + 2 * normal(random)) - (1 + 15 / 5))).toBeLessThan(0.4)
  })

  it('of little is what is usual, never below 1, and needs no order of positions', () => {
    const random = seededRandom(3)
    expect(new DesignEffect().value).toBe(4)
    expect(effectOf(1, 8, () => normal(random))).toBeGreaterThan(3)
    expect(effectOf(300, 2, () => 0)).toBeGreaterThanOrEqual(1)
    const values = Array.from({ length: 12 * 20 }, (_, i) => Math.floor(i / 20) + normal(random))
    const [inOrder, mixed] = [new DesignEffect(), new DesignEffect()]
    values.forEach((x, i) => inOrder.observe(x, `${Math.floor(i / 20)}`))
    for (let i = 0; i < 20; i++) for (let r = 0; r < 12; r++) mixed.observe(values[20 * r + i]!, `${r}`)
    expect(mixed.value).toBeCloseTo(inOrder.value, 9)
  })
})
