import { normal, seededRandom, type Random } from '@plateau/speculation'
import { describe, expect, it } from 'vitest'
import { DraftRouter, standardRouting } from './draft-router.js'

/** One response of about 40 judged proposals; how well it goes differs from one to the next. */
function response(random: Random, acceptance: number): [accepted: number, judged: number] {
  const own = Math.min(1, Math.max(0, acceptance + 0.1 * normal(random)))
  let accepted = 0
  for (let i = 0; i < 40; i++) if (random() < own) accepted++
  return [accepted, 40]
}

/** Serves `count` requests of a label and says which arm each one went to. */
function serve(
  router: DraftRouter,
  random: Random,
  label: string,
  arms: readonly string[],
  count: number,
  acceptance: (arm: string) => number,
): string[] {
  return Array.from({ length: count }, () => {
    const arm = router.route(label, arms, random())
    router.observe(label, arm, ...response(random, acceptance(arm)))
    return arm
  })
}

const share = (routed: readonly string[], arm: string): number =>
  routed.filter((one) => one === arm).length / routed.length

describe('the router', () => {
  it('with one arm, or nothing known, takes the default but for the share that explores', () => {
    const router = new DraftRouter(standardRouting)
    expect(router.route('code', ['7'], 0)).toBe('7')
    expect([0, 0.024, 0.025, 0.049, 0.05, 0.99].map((draw) => router.route('code', ['7', '5', '6'], draw))).toEqual([
      '5',
      '5',
      '6',
      '6',
      '7',
      '7',
    ])
    expect(() => router.route('code', [], 0.5)).toThrow(RangeError)
  })

  it('a domain that comes back finds the version that knew it from its first request on', () => {
    const random = seededRandom(1)
    const router = new DraftRouter(standardRouting)
    // The draft learns what it meets and forgets the rest: even versions know code, odd ones chat.
    const knows = (version: string, label: string): boolean => (Number(version) % 2 === 0) === (label === 'code')
    const shareKnown = (routed: readonly string[], label: string): number =>
      routed.filter((version) => knows(version, label)).length / routed.length
    let kept: string[] = []
    const known = Array.from({ length: 8 }, (_, version) => {
      const label = version % 2 === 0 ? 'code' : 'chat'
      const acceptance = (arm: string): number => (knows(arm, label) ? 0.75 : 0.4)
      // The version of the phase before serves by default until one has learned from this phase.
      const replaced = `${version - 1}`
      const before = version === 0 ? ['none'] : [replaced, ...kept]
      const first = router.route(label, before, 0.5)
      const returned = serve(router, random, label, before, 40, acceptance)
      const candidates = before.filter((arm) => arm !== 'none')
      kept = router.keepers(candidates, 2)
      for (const arm of before) if (!kept.includes(arm)) router.forget(arm)
      const learned = serve(router, random, label, [`${version}`, ...kept], 200, acceptance)
      return { first: knows(first, label), returned: shareKnown(returned, label), learned: shareKnown(learned, label) }
    })
    // The first two phases bring what nobody knows.
    for (const { first, returned, learned } of known.slice(2)) {
      expect(first).toBe(true)
      expect(returned).toBeGreaterThan(0.85)
      expect(learned).toBeGreaterThan(0.9)
    }
    expect(kept).toHaveLength(2)
  })

  it('a bad arm gets the explore share at most', () => {
    const random = seededRandom(2)
    const router = new DraftRouter(standardRouting)
    const routed = serve(router, random, 'code', ['7', '6'], 4_000, (arm) => (arm === '7' ? 0.7 : 0.3))
    expect(share(routed, '6')).toBeLessThan(0.05 + 3 * Math.sqrt((0.05 * 0.95) / 4_000))
    expect(share(routed, '6')).toBeGreaterThan(0.03)
  })

  it('an equal arm hardly ever takes over: noise is no reason', () => {
    const random = seededRandom(3)
    const router = new DraftRouter(standardRouting)
    expect(
      share(
        serve(router, random, 'code', ['7', '6'], 4_000, () => 0.7),
        '6',
      ),
    ).toBeLessThan(0.15)
  })

  it('a better arm takes over, and gives way when it is better no more', () => {
    const random = seededRandom(4)
    const router = new DraftRouter(standardRouting)
    const arms = ['7', '6']
    serve(router, random, 'code', arms, 1_000, (arm) => (arm === '6' ? 0.8 : 0.6))
    expect(router.best('code')).toBe('6')
    expect(
      share(
        serve(router, random, 'code', arms, 200, (arm) => (arm === '6' ? 0.8 : 0.6)),
        '6',
      ),
    ).toBeGreaterThan(0.8)
    serve(router, random, 'code', arms, 400, (arm) => (arm === '6' ? 0.3 : 0.6))
    expect(
      share(
        serve(router, random, 'code', arms, 200, (arm) => (arm === '6' ? 0.3 : 0.6)),
        '7',
      ),
    ).toBeGreaterThan(0.8)
  })

  it('a new default on a label that others are known on is tried, and used once it is not clearly worse', () => {
    const router = new DraftRouter(standardRouting)
    for (let i = 0; i < 20; i++) router.observe('code', '6', 28, 40)
    expect(router.route('code', ['7', '6'], 0.5)).toBe('6')
    expect(router.route('code', ['7', '6'], 0.01)).toBe('7')
    router.observe('code', '7', 27, 40)
    expect(router.route('code', ['7', '6'], 0.5)).toBe('7')
  })

  it('a label that stayed goes on to the next version, one that was away to the version that knew it', () => {
    const router = new DraftRouter(standardRouting)
    for (let i = 0; i < 20; i++) router.observe('code', '5', 28, 40)
    router.observe('code', '6', 27, 40)
    expect(router.route('code', ['7', '5'], 0.5, '6')).toBe('7')
    expect(router.route('code', ['8', '5'], 0.5, '7')).toBe('5')
    for (let i = 0; i < 20; i++) router.observe('code', '6', 4, 40)
    expect(router.route('code', ['7', '5'], 0.5, '6')).toBe('5')
  })

  it('without a label is always at the default, and learns nothing', () => {
    const router = new DraftRouter(standardRouting)
    for (let i = 0; i < 20; i++) router.observe('', '6', 40, 40)
    expect([0, 0.5].map((draw) => router.route('', ['7', '6'], draw))).toEqual(['7', '7'])
    expect(router.snapshot()).toEqual([])
  })

  it('keeps the versions that are the best known of some label, the most used first, and no more than it may', () => {
    const router = new DraftRouter(standardRouting)
    const know = (label: string, arm: string, accepted: number, times: number): void => {
      for (let i = 0; i < times; i++) router.observe(label, arm, accepted, 40)
    }
    know('code', '3', 32, 20)
    know('code', '7', 12, 20)
    know('chat', '5', 32, 5)
    know('chat', '3', 8, 20)
    know('news', '7', 32, 5)
    expect(router.keepers(['3', '4', '5'], 3)).toEqual(['3', '5'])
    expect(router.keepers(['3', '4', '5'], 1)).toEqual(['3'])
    router.forget('3')
    expect(router.best('code')).toBe('7')
    expect(router.keepers(['4', '5'], 3)).toEqual(['5'])
  })

  it('holds so many labels, and forgets the one observed longest ago', () => {
    const router = new DraftRouter({ ...standardRouting, maxLabels: 2 })
    for (const label of ['a', 'b', 'a', 'c']) router.observe(label, '7', 20, 40)
    expect(router.snapshot()).toEqual([
      { label: 'a', best: '7', arms: [{ arm: '7', acceptance: 0.5, judged: 79 }] },
      { label: 'c', best: '7', arms: [{ arm: '7', acceptance: 0.5, judged: 40 }] },
    ])
    router.forget('7')
    expect(router.snapshot()).toEqual([])
  })

  it('a response in which nothing was judged says nothing', () => {
    const router = new DraftRouter(standardRouting)
    router.observe('code', '6', 0, 0)
    expect(router.best('code')).toBeUndefined()
    expect(router.route('code', ['7', '6'], 0.5)).toBe('7')
  })
})
