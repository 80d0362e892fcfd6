import { PlateauError, RolloutOrderKind } from '@plateau/contracts'
import { afterEach, describe, expect, it } from 'vitest'
import { RolloutWorld } from '../testing/rollout-world.js'
import type { SwapTimes } from './lineage-rollout.js'
import { orderKey } from './rollout-reporter.js'

const GOOD = { alpha: 0.5, acceptance: 0.6 }
const BETTER = { alpha: 0.55, acceptance: 0.65 }
const WORSE = { alpha: 0.35, acceptance: 0.45 }
const RANDOM = { alpha: 0.01, acceptance: 0.01 }
const BY = { reason: 'because', orderedBy: 'anna' }

const worlds: RolloutWorld[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.rollout.close()
})

const world = (...args: ConstructorParameters<typeof RolloutWorld>): RolloutWorld => {
  const made = new RolloutWorld(...args)
  worlds.push(made)
  return made
}

/** With a version that is live and confirmed. */
async function settled(...args: ConstructorParameters<typeof RolloutWorld>): Promise<RolloutWorld> {
  const made = world(...args)
  await made.announce(1, GOOD)
  await made.serveUntil(() => made.rollout.live?.phase === 'confirmed')
  return made
}

describe('a version that is not worse', () => {
  it('says how long it took, but for the first one and one that is back', async () => {
    const swaps: (SwapTimes | undefined)[] = []
    const w = await settled({}, { onSwap: (from) => void swaps.push(from) })
    expect(swaps).toEqual([undefined])
    await w.announce(2, BETTER, { newestWindowAtMs: 7 })
    await w.serveUntil(() => w.live === 2)
    expect(swaps[1]).toEqual({ swapMs: w.rollouts().findLast(({ swapMs }) => swapMs > 0)!.swapMs, newestWindowAtMs: 7 })
    await w.rollout.rollback(2, BY)
    expect(swaps.slice(2)).toEqual([undefined])
  })

  it('goes through every step, each one said with what was measured', async () => {
    const w = await settled()
    await w.announce(2, BETTER)
    await w.serveUntil(() => w.live === 2 && w.rollout.live?.phase === 'confirmed')
    const steps = ['announced', 'verified', 'shadow', 'canary', 'live', 'confirmed']
    expect(w.events().filter((event) => event.startsWith('2 '))).toEqual(steps.map((step) => `2 ${step}`))
    expect(w.events()).toContain('1 replaced')
    const live = w.rollouts().findLast(({ version, swapMs }) => version === 2 && swapMs > 0)!
    expect(live.otherVersion).toBe(1)
    expect(live.evidence!.difference).toBeGreaterThan(0)
    expect(live.evidence!.low).toBeGreaterThan(-live.evidence!.margin)
    expect(live.evidence!.positions).toBeGreaterThan(100)
    expect(live.evidence!.slices).toContainEqual(expect.objectContaining({ label: 'domain', name: 'd' }))
  })

  it('proposes nothing in shadow, for its share as a canary, and for all but the holdback once it is live', async () => {
    const w = await settled({
      shadowPositions: 1_000,
      canaryRequests: 10_000,
      falsePromotion: 1e-9,
      margin: 0.001,
      stageMs: 1e9,
    })
    await w.announce(2, GOOD)
    expect([...w.serve(60).keys()]).toEqual([1])
    await w.serveUntil(() => w.rollout.candidate?.phase === 'canary')
    const canary = w.serve(200)
    expect(canary.get(2)! / 200).toBeGreaterThan(0.1)
    expect(canary.get(2)! / 200).toBeLessThan(0.3)
    await w.rollout.promote(2, BY)
    const watched = w.serve(200)
    expect(watched.get(1)! / 200).toBeGreaterThan(0.1)
    expect(watched.get(1)! / 200).toBeLessThan(0.3)
    expect(watched.get(2)! + watched.get(1)!).toBe(200)
  })

  it('is live soon where nobody asks for anything', async () => {
    const w = await settled()
    w.rollout.start()
    await w.announce(2, GOOD)
    for (let i = 0; i < 2; i++) {
      w.nowMs += 2_500
      await expect.poll(() => (i === 0 ? w.rollout.candidate?.phase === 'canary' : w.live === 2)).toBe(true)
    }
    expect(w.rollouts().findLast(({ version }) => version === 2)!.reason).toMatch(/too little to compare/)
  })

  it('a sample id falls on the same side each time', async () => {
    const w = await settled({ canaryRequests: 10_000, falsePromotion: 1e-9, margin: 0.01 })
    await w.announce(2, GOOD)
    await w.serveUntil(() => w.rollout.candidate?.phase === 'canary')
    const versionOf = (id: string) => {
      const { lease, pair } = w.rollout.assign(id, { tenant: '', domain: '' })
      for (const held of [lease, pair?.candidate, pair?.incumbent]) held?.release()
      return lease!.loaded.version
    }
    const ids = Array.from({ length: 50 }, (_, i) => `id-${i}`)
    const once = ids.map(versionOf)
    expect(ids.map(versionOf)).toEqual(once)
    expect(new Set(once)).toEqual(new Set([1, 2]))
  })
})

it('a version that is replaced in the moment in which it would be confirmed stays replaced', async () => {
  const w = await settled()
  w.withoutPairs = true
  w.qualities.set(2, GOOD)
  await w.rollout.promote(2, BY)
  w.serve(250)
  const watched = Array.from({ length: 40 }, (_, i) => w.rollout.assign(`watched ${i}`, { tenant: '', domain: '' }))
  await w.announce(3, GOOD)
  w.nowMs += 60_000
  w.serve(1)
  expect([w.live, w.rollout.candidate?.phase]).toEqual([2, 'canary'])
  for (const { pair } of watched) for (let i = 0; i < 400; i++) pair?.record(0.5 + (i % 2) / 50, 0.5)
  w.nowMs += 60_000
  w.serve(1)
  expect(w.events().slice(-2)).toEqual(['2 replaced', '3 live'])
  expect(w.live).toBe(3)
  for (const { lease, pair } of watched) for (const held of [lease, pair?.candidate, pair?.incumbent]) held?.release()
})

describe('a version that is worse', () => {
  it('never proposes anything when live text shows it in shadow', async () => {
    const w = await settled()
    await w.announce(2, RANDOM)
    await w.serveUntil(() => w.rollout.candidate === undefined)
    expect(w.events().at(-1)).toBe('2 rejected')
    expect(w.rollouts().at(-1)!.reason).toMatch(/worse than version 1/)
    expect(w.serve(50).get(2)).toBeUndefined()
    await expect.poll(() => w.released).toContain(2)
  })

  it('is off its share when only what it proposes shows it', async () => {
    const w = await settled()
    // Its first proposals are as good as ever, what follows them is not.
    await w.announce(2, { alpha: GOOD.alpha, acceptance: 0.2 })
    const served = new Map<number, number>()
    await w.serveUntil(() => {
      for (const [version, count] of w.serve(1)) served.set(version, (served.get(version) ?? 0) + count)
      return w.events().some((event) => event === '2 rejected' || event === '2 rolled_back')
    })
    expect(w.live).toBe(1)
    expect(served.get(2)).toBeLessThan(200)
  })

  it('goes back to the one before it when it becomes worse after it was live', async () => {
    const w = await settled()
    await w.announce(2, GOOD)
    await w.serveUntil(() => w.live === 2 && w.rollout.live?.phase === 'confirmed')
    w.qualities.set(2, RANDOM)
    const responses = await w.serveUntil(() => w.live === 1)
    expect(responses).toBeLessThan(400)
    expect(w.rolledBack).toBe(1)
    expect(w.events().slice(-2)).toEqual(['2 rolled_back', '1 live'])
    expect(w.rollouts().at(-2)!.evidence!.high).toBeLessThan(0)
    expect([...w.serve(30).keys()]).toEqual([1])
    await expect.poll(() => w.released).toContain(2)
  })

  it('is found out sooner where its acceptance is seen to fall', async () => {
    const until = async (suspected: boolean): Promise<number> => {
      const w = await settled()
      await w.announce(2, GOOD)
      await w.serveUntil(() => w.live === 2 && w.rollout.live?.phase === 'confirmed')
      w.serve(100)
      w.qualities.set(2, RANDOM)
      if (suspected) w.rollout.suspect()
      return w.serveUntil(() => w.live === 1)
    }
    expect(await until(true)).toBeLessThan((await until(false)) / 2)
  })

  it('what is tested meanwhile is tested again, against what is live now', async () => {
    const w = await settled()
    await w.announce(2, GOOD)
    await w.serveUntil(() => w.live === 2 && w.rollout.live?.phase === 'confirmed')
    await w.announce(3, WORSE)
    await w.rollout.rollback(2, BY)
    expect(w.live).toBe(1)
    await w.serveUntil(() => w.rollout.candidate === undefined)
    expect(w.events().at(-1)).toBe('3 rejected')
    expect(w.rollouts().at(-1)!.otherVersion).toBe(1)
  })

  it('is out when its sessions fail, without waiting for numbers', async () => {
    const w = await settled()
    await w.announce(2, GOOD)
    const { loaded } = w.rollout.candidate!
    for (let i = 0; i < 3; i++) w.rollout.failed(loaded, new Error('no memory'))
    expect(w.events().at(-1)).toBe('2 rejected')
    expect(w.rollouts().at(-1)!.reason).toMatch(/failed 3 times.*no memory/)
  })
})

describe('what cannot be loaded or verified', () => {
  it('is refused with the reason, and the live version stays', async () => {
    const w = await settled()
    w.broken.set(2, new PlateauError('CHECKPOINT_UNSIGNED', 'it has no signature'))
    await w.announce(2, GOOD)
    expect(w.events().slice(-2)).toEqual(['2 announced', '2 rejected'])
    expect(w.rollouts().at(-1)!.reason).toBe('CHECKPOINT_UNSIGNED: it has no signature')
    expect(w.live).toBe(1)
    expect(w.rejected).toBe(1)
  })

  it('because the store is away is tried again until it is there, and condemned by nobody', async () => {
    const w = await settled()
    w.broken.set(2, new PlateauError('STORE_UNAVAILABLE', 'connection refused', { retryable: true }))
    await w.announce(2, GOOD)
    await expect.poll(() => w.loads.filter((version) => version === 2).length, { timeout: 20_000 }).toBeGreaterThan(4)
    // Orders are carried out meanwhile.
    await w.rollout.pin(1, BY)
    await w.rollout.unpin(BY)
    expect([w.live, w.rejected]).toEqual([1, 0])
    w.broken.delete(2)
    await expect.poll(() => w.rollout.candidate?.loaded.version, { timeout: 20_000 }).toBe(2)
    const about2 = w.events().filter((event) => event.startsWith('2 '))
    expect(about2).toEqual(['2 announced', '2 verified', '2 shadow'])
  })

  it('because the store is away gives way to a newer one that can be', async () => {
    const w = await settled()
    w.broken.set(2, new PlateauError('STORE_UNAVAILABLE', 'connection refused', { retryable: true }))
    await w.announce(2, GOOD)
    await w.announce(3, GOOD)
    await expect.poll(() => w.rollout.candidate?.loaded.version, { timeout: 20_000 }).toBe(3)
    expect(w.rejected).toBe(0)
  })

  it('a draft with which the output would change is refused and released', async () => {
    const probe = async (): Promise<string> => {
      throw new PlateauError('PROBE_DIFFERS', 'greedy token 3 differs')
    }
    const w = world({}, { probe })
    await w.announce(1, GOOD)
    expect(w.events()).toEqual(['1 announced', '1 rejected'])
    await expect.poll(() => w.released).toEqual([1])
  })

  it('of versions announced meanwhile the newest is next, and an announcement that comes twice is no news', async () => {
    const w = await settled()
    await w.announce(2, GOOD)
    for (const version of [3, 4, 3, 4, 2, 1]) await w.announce(version, GOOD)
    await w.serveUntil(() => w.live === 4)
    expect(w.events().filter((event) => event.endsWith('announced'))).toEqual([
      '1 announced',
      '2 announced',
      '4 announced',
    ])
  })
})

describe('operators', () => {
  it('make a version live at once, and the watch can take it back', async () => {
    const w = await settled()
    await w.announce(2, WORSE)
    expect(await w.rollout.promote(0, BY)).toBe(2)
    expect(w.live).toBe(2)
    expect(w.rollouts().at(-1)).toMatchObject({ version: 2, reason: 'because', orderedBy: 'anna' })
    await w.serveUntil(() => w.live === 1)
    expect(w.events()).toContain('2 rolled_back')
  })

  it('what is tested while another version is made live is tested against that, or is out where it is older', async () => {
    const w = await settled()
    w.qualities.set(3, GOOD)
    await w.announce(2, GOOD)
    await w.rollout.promote(3, BY)
    expect([w.live, w.events().at(-1)]).toEqual([3, '2 rejected'])
    await w.announce(5, WORSE)
    w.qualities.set(4, BETTER)
    await w.rollout.promote(4, BY)
    await w.serveUntil(() => w.rollout.candidate === undefined)
    expect(w.rollouts().find(({ version, otherVersion }) => version === 5 && otherVersion === 4)).toBeDefined()
    expect(w.live).toBe(4)
  })

  it('take a version off traffic; without one before it decoding is plain', async () => {
    const w = await settled()
    await expect(w.rollout.rollback(0, BY)).resolves.toEqual({ version: 1, liveVersion: 0 })
    expect([...w.serve(5).keys()]).toEqual([0])
    await expect(w.rollout.rollback(1, BY)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' })
  })

  it('are named where they take a version off that is only tested', async () => {
    const w = await settled()
    await w.announce(2, GOOD)
    await w.rollout.rollback(2, BY)
    expect(w.rollouts().at(-1)).toMatchObject({ version: 2, reason: 'because', orderedBy: 'anna' })
    expect(w.orders().find(({ version }) => version === 2)).toMatchObject({ orderedBy: 'anna' })
  })

  it('pin a version: nothing is tested and nothing rolled back until it is unpinned', async () => {
    const w = await settled()
    await w.announce(2, BETTER)
    await w.serveUntil(() => w.live === 2)
    await w.rollout.pin(1, BY)
    expect([w.live, w.rollout.pinned]).toEqual([1, 1])
    w.qualities.set(1, RANDOM)
    await w.announce(3, BETTER)
    expect([...w.serve(300).keys()]).toEqual([1])
    await expect(w.rollout.promote(3, BY)).rejects.toThrow(/pinned/)
    expect(await w.rollout.unpin(BY)).toBe(1)
    await w.serveUntil(() => w.live === 3)
    expect(w.events()).toEqual(expect.arrayContaining(['1 pinned', '1 unpinned', '3 live']))
  })

  it('are told what cannot be done', async () => {
    const w = world()
    await expect(w.rollout.pin(0, BY)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' })
    await expect(w.rollout.unpin(BY)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' })
    await expect(w.rollout.promote(0, BY)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' })
    await expect(w.rollout.promote(9, BY)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(w.live).toBe(0)
  })
})

describe('other servers, and this one after a restart', () => {
  it('begin with the version that was last found good, and never test what was found worse', async () => {
    const first = await settled()
    await first.announce(2, RANDOM)
    await first.serveUntil(() => first.rollout.candidate === undefined)
    const second = world()
    second.qualities.set(1, GOOD)
    second.rollout.restore(first.orders())
    await second.rollout.idle()
    expect(second.live).toBe(1)
    await second.announce(2, GOOD)
    expect(second.events()).toEqual(['1 live'])
  })

  it('take a version off traffic that another server found worse', async () => {
    const [here, there] = [await settled(), await settled()]
    for (const w of [here, there]) {
      await w.announce(2, GOOD)
      await w.serveUntil(() => w.live === 2 && w.rollout.live?.phase === 'confirmed')
    }
    await here.rollout.rollback(2, BY)
    for (const order of here.orders()) there.rollout.follow(order)
    const said = there.orders().length
    await there.rollout.idle()
    expect(there.live).toBe(1)
    // A verdict is said once: written again late, it would undo what was ordered in between.
    const retired = there.orders().filter(({ kind }) => kind === RolloutOrderKind.ROLLOUT_ORDER_KIND_RETIRE)
    expect(retired).toEqual([])
    expect(there.orders()).toHaveLength(said)
    // And hear of their own orders without doing anything twice.
    const before = here.events().length
    for (const order of here.orders()) here.rollout.follow(order)
    await here.rollout.idle()
    expect(here.events()).toHaveLength(before)
  })

  it('keep to a pin, and lift it with the order', async () => {
    const first = await settled()
    await first.rollout.pin(1, BY)
    const second = world()
    second.qualities.set(1, GOOD)
    second.rollout.restore(first.orders())
    await second.rollout.idle()
    expect([second.live, second.rollout.pinned]).toEqual([1, 1])
    await first.rollout.unpin(BY)
    for (const order of first.orders()) second.rollout.follow(order)
    expect(second.rollout.pinned).toBe(0)
  })

  it('an order has one place in the compacted topic', () => {
    expect(orderKey('a', RolloutOrderKind.ROLLOUT_ORDER_KIND_PIN, 3)).toBe('a/pin')
    expect(orderKey('a', RolloutOrderKind.ROLLOUT_ORDER_KIND_UNPIN, 0)).toBe('a/pin')
    expect(orderKey('a', RolloutOrderKind.ROLLOUT_ORDER_KIND_LIVE, 3)).toBe('a/live')
    expect(orderKey('a', RolloutOrderKind.ROLLOUT_ORDER_KIND_RETIRE, 3)).toBe('a/version/3')
  })
})

it('a request stays on its version, which is released when its last request ends', async () => {
  const w = await settled()
  const { lease } = w.rollout.assign('long', { tenant: '', domain: '' })
  await w.rollout.rollback(1, BY)
  expect(lease!.loaded.version).toBe(1)
  expect(w.released).toEqual([])
  lease!.release()
  lease!.release()
  await expect.poll(() => w.released).toEqual([1])
})

it('a replaced version stays loaded where it is the best for some traffic', async () => {
  const w = await settled()
  w.keep = (replaced) => new Set(replaced.filter(({ version }) => version === 1))
  for (const version of [2, 3]) {
    await w.announce(version, GOOD)
    await w.serveUntil(() => w.live === version && w.rollout.live?.phase === 'confirmed')
  }
  expect(w.rollout.kept.map(({ version }) => version)).toEqual([1])
  expect(w.released).toEqual([])
  await w.rollout.close()
  expect(new Set(w.released)).toEqual(new Set([1, 2, 3]))
})
