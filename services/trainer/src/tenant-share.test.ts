import { seededRandom } from '@plateau/speculation'
import { describe, expect, it } from 'vitest'
import { TenantShare } from './tenant-share.js'

const MINUTE = 60_000

/** Windows of 24 positions for so many minutes: in every second one of each of `others` tenants, and 40 of one more. */
function flooded(share: number, floorPositions: number, { others = 1, minutes = 20 } = {}) {
  const tenants = new TenantShare({ share, floorPositions })
  const taken = { flood: 0, rest: 0 }
  const names = Array.from({ length: others }, (_, i) => `tenant-${i}`)
  for (const name of names) tenants.take(name, 0, 0)
  for (let nowMs = 0; nowMs < minutes * MINUTE; nowMs += 1000) {
    for (let i = 0; i < 40; i++) if (tenants.take('flood', 24, nowMs)) taken.flood += 24
    for (const name of names) if (tenants.take(name, 24, nowMs)) taken.rest += 24
  }
  return taken
}

describe('the share of a tenant', () => {
  it.each([
    [0.5, 2_000, 1],
    [0.5, 500, 3],
    [0.25, 2_000, 3],
    [0.1, 500, 20],
  ])(
    'of %d holds against one that floods, but for its floor of %d; the %d others lose nothing',
    (share, floor, others) => {
      const { flood, rest } = flooded(share, floor, { others })
      expect(rest).toBe(24 * 20 * 60 * others)
      expect(flood).toBeLessThanOrEqual(floor * 3 + (share / (1 - share)) * rest)
      expect(flood).toBeGreaterThan(0.9 * (floor * 2 + (share / (1 - share)) * rest))
    },
  )

  it('is the same for all where there are too few tenants for it', () => {
    expect(flooded(0.1, 500)).toEqual(flooded(0.5, 500))
  })

  it('holds at every moment, in whatever order windows come', () => {
    const random = seededRandom(5)
    const [share, floorPositions] = [0.4, 1_000]
    const tenants = new TenantShare({ share, floorPositions })
    const names = ['a', 'b', 'c', 'd']
    const taken = new Map(names.map((name) => [name, 0]))
    // From here on nobody is alone.
    for (const name of names) tenants.take(name, 1, 0)
    let nowMs = 0
    for (let i = 0; i < 20_000; i++) {
      nowMs += random() * 200
      const name = names[Math.floor(random() ** 4 * names.length)]!
      const positions = 1 + Math.floor(random() * 128)
      if (!tenants.take(name, positions, nowMs)) continue
      taken.set(name, taken.get(name)! + positions)
      const others = [...taken].reduce((sum, [other, count]) => sum + (other === name ? 0 : count), 4)
      const floor = floorPositions * (1 + nowMs / (10 * MINUTE))
      expect(taken.get(name)).toBeLessThanOrEqual(floor + (share / (1 - share)) * others)
    }
    expect(Math.min(...taken.values())).toBeGreaterThan(1000)
  })

  it('is everything for one that is alone, and again when the others have been away for ten minutes', () => {
    const tenants = new TenantShare({ share: 0.5, floorPositions: 100 })
    for (let i = 0; i < 1000; i++) expect(tenants.take('', 128, i)).toBe(true)
    expect(tenants.take('other', 24, 2000)).toBe(true)
    expect(Array.from({ length: 9 }, () => tenants.take('', 24, 3000)).filter(Boolean)).toHaveLength(4)
    expect(tenants.take('', 24, 3000)).toBe(false)
    expect(tenants.take('', 24, 2000 + 10 * MINUTE)).toBe(true)
    for (let i = 0; i < 100; i++) expect(tenants.take('', 128, 2000 + 10 * MINUTE + i)).toBe(true)
  })

  it('forgets tenants beyond a bound, however many names there are', () => {
    const tenants = new TenantShare({ share: 0.5, floorPositions: 100 })
    for (let i = 0; i < 20_000; i++) tenants.take(`name-${i}`, 24, i)
    expect(tenants.size).toBe(4096)
  })

  it('of 1 bounds nobody', () => {
    const { flood, rest } = flooded(1, 10, { minutes: 1 })
    expect([flood, rest]).toEqual([24 * 40 * 60, 24 * 60])
  })
})
