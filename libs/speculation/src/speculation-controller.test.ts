import { describe, expect, it } from 'vitest'
import { seededRandom } from './random.js'
import { SpeculationController } from './speculation-controller.js'

/** A machine: acceptance per position, draft step and target step in microseconds. */
interface World {
  acceptance: number
  draftUs: number
  targetUs: (positions: number) => number
}

const verification = (positions: number) => 1000 * (1 + 0.14 * (positions - 1))

/** Runs rounds; returns tokens per plain step time, and how many rounds proposed something. */
function run(controller: SpeculationController, world: World, rounds: number, seed: number) {
  const random = seededRandom(seed)
  let tokens = 0
  let us = 0
  let drafted = 0
  for (let round = 0; round < rounds; round++) {
    const proposed = controller.next().count
    let accepted = 0
    while (accepted < proposed && random() < world.acceptance) accepted++
    const noise = 0.9 + 0.2 * random()
    const draftUs = proposed * world.draftUs * noise
    const targetUs = world.targetUs(proposed + 1) * noise
    controller.observe({ proposed, accepted, draftUs, targetUs })
    tokens += accepted + 1
    us += draftUs + targetUs
    if (proposed > 0) drafted++
  }
  return { speed: (tokens / us) * world.targetUs(1), drafted: drafted / rounds }
}

/** Tokens per plain step time with the best fixed number of proposals. */
function best(world: World, maxProposal: number) {
  let found = { proposal: 0, speed: 1 }
  for (let proposal = 1; proposal <= maxProposal; proposal++) {
    let tokens = 1
    for (let i = 1; i <= proposal; i++) tokens += world.acceptance ** i
    const speed = (tokens / (proposal * world.draftUs + world.targetUs(proposal + 1))) * world.targetUs(1)
    if (speed > found.speed) found = { proposal, speed }
  }
  return found
}

const good: World = { acceptance: 0.7, draftUs: 60, targetUs: verification }
const bad: World = { acceptance: 0.1, draftUs: 250, targetUs: verification }

describe('the speculation controller', () => {
  it.each([0.3, 0.5, 0.7, 0.9])('comes within 5 % of the best fixed proposal length at acceptance %d', (acceptance) => {
    const world = { ...good, acceptance }
    const controller = new SpeculationController({ maxProposal: 8 })
    run(controller, world, 300, 1)
    expect(run(controller, world, 3000, 2).speed).toBeGreaterThan(0.95 * best(world, 8).speed)
  })

  it('turns off below break-even, and what it then spends on probes stays under 3 %', () => {
    const controller = new SpeculationController({ maxProposal: 6 })
    run(controller, bad, 100, 3)
    expect(controller.snapshot().proposal).toBe(0)
    const { speed, drafted } = run(controller, bad, 5000, 4)
    expect(speed).toBeGreaterThan(0.97)
    expect(drafted).toBeGreaterThan(0)
  })

  it('keeps probing cheaply when a draft step costs as much as the target', () => {
    const controller = new SpeculationController({ maxProposal: 4 })
    const world = { ...bad, draftUs: 1500 }
    run(controller, world, 100, 5)
    expect(run(controller, world, 5000, 6).speed).toBeGreaterThan(0.97)
  })

  it('turns on again when the draft has become good', () => {
    const controller = new SpeculationController({ maxProposal: 6 })
    run(controller, bad, 2000, 7)
    expect(controller.snapshot().proposal).toBe(0)
    run(controller, { ...good, draftUs: bad.draftUs }, 1200, 8)
    expect(controller.snapshot().proposal).toBeGreaterThan(0)
    expect(controller.snapshot().speedup).toBeGreaterThan(1)
  })

  it('turns off when a good draft meets traffic that it does not know', () => {
    const controller = new SpeculationController({ maxProposal: 6 })
    run(controller, good, 1000, 9)
    expect(controller.snapshot().proposal).toBeGreaterThan(1)
    run(controller, { ...bad, acceptance: 0.02 }, 300, 10)
    expect(controller.snapshot().proposal).toBe(0)
  })

  it('states the acceptance at which one proposed token breaks even', () => {
    const controller = new SpeculationController({ maxProposal: 1 })
    expect(controller.snapshot().breakEvenAcceptance).toBeUndefined()
    for (let i = 0; i < 200; i++) {
      controller.observe({ proposed: 0, accepted: 0, draftUs: 0, targetUs: 1000 })
      controller.observe({ proposed: 1, accepted: 1, draftUs: 200, targetUs: 1100 })
    }
    // (200 + 1100) / 1000 - 1
    expect(controller.snapshot().breakEvenAcceptance).toBeCloseTo(0.3, 2)
  })

  it('does not take the end of a response for a rejection', () => {
    const controller = new SpeculationController({ maxProposal: 2 })
    run(controller, { ...good, acceptance: 1 }, 300, 12)
    const [before] = controller.snapshot().acceptance
    for (let i = 0; i < 20; i++) {
      controller.observe({ proposed: 2, accepted: 1, judged: 1, draftUs: 120, targetUs: 1280 })
    }
    expect(controller.snapshot().acceptance[0]).toBeGreaterThanOrEqual(before!)
    expect(controller.snapshot().acceptance[1]).toBeGreaterThan(0.9)
  })

  it('does not take the time of catching up for the time of a step, unless it is shorter', () => {
    const controller = new SpeculationController({ maxProposal: 6 })
    run(controller, bad, 200, 12)
    const before = controller.snapshot().breakEvenAcceptance!
    const probe = (draftUs: number) =>
      controller.observe({ proposed: 1, accepted: 0, draftUs, draftCaughtUpFirst: true, targetUs: 1140 })
    for (let i = 0; i < 20; i++) probe(5000)
    expect(controller.snapshot().breakEvenAcceptance).toBeCloseTo(before, 1)
    for (let i = 0; i < 20; i++) probe(50)
    expect(controller.snapshot().breakEvenAcceptance).toBeLessThan(before - 0.1)
  })

  it('counts what an exchange costs besides the target, at its least: waiting is no cost of speculation', () => {
    const rounds = (overheadUs: (proposed: number, round: number) => number) => {
      const controller = new SpeculationController({ maxProposal: 4 })
      const random = seededRandom(6)
      for (let round = 0; round < 400; round++) {
        const proposed = controller.next().count
        let accepted = 0
        while (accepted < proposed && random() < 0.6) accepted++
        const targetUs = verification(proposed + 1)
        const exchangeUs = targetUs + overheadUs(proposed, round)
        controller.observe({ proposed, accepted, draftUs: 60 * proposed, targetUs, exchangeUs })
      }
      return controller.snapshot()
    }
    // Dear messages that are dearer with a proposal in them, and pay for nothing.
    expect(rounds((proposed) => (proposed > 0 ? 3000 : 100)).proposal).toBe(0)
    // The same cost on both sides makes fewer rounds worth more.
    expect(rounds(() => 1000).breakEvenAcceptance).toBeLessThan(rounds(() => 0).breakEvenAcceptance!)
    // Now and then a long wait for others, on both sides.
    expect(rounds((_, round) => (round % 3 === 0 ? 100 : 50_000)).proposal).toBeGreaterThan(0)
  })

  it('turns off within a response that the draft does not know, and leaves the others on', () => {
    const controller = new SpeculationController({ maxProposal: 4 })
    run(controller, good, 200, 7)
    const [known, unknown] = [controller.begin(), controller.begin()]
    const random = seededRandom(8)
    const drafted = { known: 0, unknown: 0 }
    for (let round = 0; round < 60; round++) {
      for (const [name, response, acceptance] of [
        ['known', known, 0.7],
        ['unknown', unknown, 0.02],
      ] as const) {
        const proposed = controller.next(response).count
        let accepted = 0
        while (accepted < proposed && random() < acceptance) accepted++
        controller.observe(
          { proposed, accepted, draftUs: 250 * proposed, targetUs: verification(proposed + 1) },
          response,
        )
        drafted[name] += proposed > 0 ? 1 : 0
      }
    }
    expect(drafted.known).toBeGreaterThan(50)
    expect(drafted.unknown).toBeLessThan(25)
  })

  it('lets plain rounds run without asking while it is off, and probes as often as if it had been asked', () => {
    const asked = new SpeculationController({ maxProposal: 4 })
    run(asked, bad, 300, 9)
    const left = new SpeculationController({ maxProposal: 4 })
    run(left, bad, 300, 9)
    const probes = { asked: 0, left: 0 }
    for (let round = 0; round < 2000; round++) {
      const proposed = asked.next().count
      probes.asked += proposed > 0 ? 1 : 0
      asked.observe({ proposed, accepted: 0, draftUs: 250 * proposed, targetUs: verification(proposed + 1) })
    }
    for (let round = 0; round < 2000; round++) {
      const proposed = left.next().count
      probes.left += proposed > 0 ? 1 : 0
      left.observe({ proposed, accepted: 0, draftUs: 250 * proposed, targetUs: verification(proposed + 1) })
      const plain = proposed === 0 ? left.plainRounds() : 0
      for (let i = 0; i < plain; i++, round++) {
        left.observe({ proposed: 0, accepted: 0, draftUs: 0, targetUs: verification(1) })
      }
    }
    expect(probes.asked).toBeGreaterThan(10)
    expect(Math.abs(probes.left - probes.asked)).toBeLessThanOrEqual(1)
    const on = new SpeculationController({ maxProposal: 4 })
    run(on, good, 300, 10)
    expect(on.plainRounds()).toBe(0)
  })

  it('is not misled by a single stalled step', () => {
    const controller = new SpeculationController({ maxProposal: 6 })
    run(controller, good, 1000, 11)
    const before = controller.snapshot().proposal
    controller.observe({ proposed: before, accepted: before, draftUs: 1e6, targetUs: 1e7 })
    expect(controller.snapshot().proposal).toBeGreaterThan(0)
  })

  it('never proposes with a draft that may not', () => {
    const controller = new SpeculationController({ maxProposal: 0 })
    controller.observe({ proposed: 0, accepted: 0, draftUs: 0, targetUs: 1000 })
    expect(controller.next().count).toBe(0)
    expect(() => controller.observe({ proposed: 1, accepted: 0, draftUs: 1, targetUs: 1 })).toThrow(RangeError)
  })

  describe('on a real model, where the second position is free', () => {
    const curve = [1, 1.0, 1.21, 1.28, 1.52, 1.69, 1.86, 2.01, 2.14]
    const smol = (acceptance: number, draftShare: number): World => ({
      acceptance,
      draftUs: 9000 * draftShare,
      targetUs: (positions) => 9000 * curve[positions - 1]!,
    })
    const cases = [0.1, 0.2, 0.3, 0.5, 0.7, 0.9].flatMap((a) => [0.02, 0.05, 0.1].map((c) => [a, c] as const))

    it.each(cases)(
      'at acceptance %d and draft cost %d it comes within four percent of the best',
      (acceptance, share) => {
        const world = smol(acceptance, share)
        const controller = new SpeculationController({ maxProposal: 8 })
        run(controller, world, 600, 21)
        expect(run(controller, world, 4000, 22).speed).toBeGreaterThan(0.96 * best(world, 8).speed)
      },
    )

    it('stays on with one token where a machine with dear positions turns off', () => {
      const free = new SpeculationController({ maxProposal: 8 })
      run(free, smol(0.15, 0.05), 800, 23)
      expect(free.snapshot().proposal).toBe(1)
      const dear = new SpeculationController({ maxProposal: 8 })
      run(dear, { ...smol(0.15, 0.05), targetUs: (positions) => 9000 * (1 + 0.2 * (positions - 1)) }, 800, 23)
      expect(dear.snapshot().proposal).toBe(0)
    })

    it('proposes more the more is accepted', () => {
      const proposals = [0.1, 0.3, 0.6, 0.9].map((acceptance) => {
        const controller = new SpeculationController({ maxProposal: 8 })
        run(controller, smol(acceptance, 0.05), 1500, 24)
        return controller.snapshot().proposal
      })
      expect(proposals).toEqual(proposals.toSorted((a, b) => a - b))
      expect(proposals[3]).toBeGreaterThan(proposals[0]! + 3)
    })
  })
})

describe('copies from the text', () => {
  const world = { ...good, acceptance: 0.5 }

  /** In a share of rounds a copy is at hand; its acceptance depends on the match. Returns what became of it. */
  function withCopies(
    controller: SpeculationController,
    copies: { share: number; matched: number; acceptance: number },
    rounds: number,
    seed: number,
  ) {
    const random = seededRandom(seed)
    const used = { lookup: 0, draft: 0, none: 0 }
    let [tokens, us, offers] = [0, 0, 0]
    for (let round = 0; round < rounds; round++) {
      const offered = random() < copies.share
      if (offered) offers++
      const plan = controller.next(undefined, offered ? { matched: copies.matched, available: 8 } : undefined)
      used[plan.source]++
      const acceptance = plan.source === 'lookup' ? copies.acceptance : world.acceptance
      let accepted = 0
      while (accepted < plan.count && random() < acceptance) accepted++
      const draftUs = plan.source === 'draft' ? plan.count * world.draftUs : 0
      const targetUs = world.targetUs(plan.count + 1)
      const { source, count: proposed } = plan
      controller.observe({ proposed, accepted, source, copySought: true, matched: copies.matched, draftUs, targetUs })
      tokens += accepted + 1
      us += draftUs + targetUs
    }
    return { used, offers, speed: (tokens / us) * world.targetUs(1) }
  }

  it('take the round where they do better than the draft, and leave it where they do not', () => {
    const controller = new SpeculationController({ maxProposal: 8 })
    withCopies(controller, { share: 0.3, matched: 5, acceptance: 0.9 }, 400, 1)
    const better = withCopies(controller, { share: 0.3, matched: 5, acceptance: 0.9 }, 1000, 2)
    expect(better.used.lookup).toBeGreaterThan(0.9 * better.offers)
    withCopies(controller, { share: 0.3, matched: 5, acceptance: 0.05 }, 400, 3)
    const worse = withCopies(controller, { share: 0.3, matched: 5, acceptance: 0.05 }, 1000, 4)
    expect(worse.used.lookup).toBeLessThan(0.15 * worse.offers)
    expect(worse.used.draft).toBeGreaterThan(800)
  })

  it('that are never accepted cost under 1 %', () => {
    const without = new SpeculationController({ maxProposal: 8 })
    const alone = withCopies(without, { share: 0, matched: 2, acceptance: 0 }, 6000, 5)
    const controller = new SpeculationController({ maxProposal: 8 })
    const beside = withCopies(controller, { share: 0.4, matched: 2, acceptance: 0.02 }, 6000, 5)
    expect(beside.speed).toBeGreaterThan(0.99 * alone.speed)
  })

  it('do not touch what is known of the draft', () => {
    const controller = new SpeculationController({ maxProposal: 4 })
    run(controller, good, 300, 6)
    const { acceptance, breakEvenAcceptance } = controller.snapshot()
    for (let i = 0; i < 50; i++) {
      controller.observe({ proposed: 3, accepted: 0, source: 'lookup', matched: 2, draftUs: 0, targetUs: 1420 })
    }
    expect(controller.snapshot().acceptance).toEqual(acceptance)
    expect(controller.snapshot().breakEvenAcceptance).toBeCloseTo(breakEvenAcceptance!, 1)
  })

  it('are longer the longer the match has been', () => {
    const controller = new SpeculationController({ maxProposal: 8 })
    controller.observe({ proposed: 0, accepted: 0, draftUs: 0, targetUs: 1000 })
    for (let i = 0; i < 60; i++) {
      controller.observe({ proposed: 4, accepted: 4, source: 'lookup', matched: 9, draftUs: 0, targetUs: 1560 })
      controller.observe({ proposed: 2, accepted: 0, source: 'lookup', matched: 2, draftUs: 0, targetUs: 1280 })
    }
    expect(controller.copyCount({ matched: 12, available: 8 })).toBe(8)
    expect(controller.copyCount({ matched: 12, available: 3 })).toBe(3)
    expect(controller.copyCount({ matched: 2, available: 8 })).toBe(0)
    expect(controller.copyCount(undefined)).toBe(0)
  })

  it('work without a draft, and rounds run by themselves where taking turns for copies does not pay', () => {
    const controller = new SpeculationController({ maxProposal: 8, hasDraft: false })
    const copy = { matched: 3, available: 8 }
    expect(controller.next(undefined, copy)).toEqual({ source: 'none', count: 0 })
    const plain = { proposed: 0, accepted: 0, source: 'none', draftUs: 0, targetUs: 1000, exchangeUs: 1100 } as const
    for (let i = 0; i < 10; i++) controller.observe(plain)
    expect(controller.next(undefined, copy).source).toBe('lookup')
    expect(controller.next()).toEqual({ source: 'none', count: 0 })
    // Looked for often and hardly found: turns cost a tenth of a round and bring less.
    for (let i = 0; i < 200; i++) controller.observe({ ...plain, copySought: true })
    expect(controller.plainRounds(undefined, true)).toBe(16)
    // One response that quotes a lot takes turns again, the others do not.
    const response = controller.begin()
    for (let i = 0; i < 10; i++) {
      const round = { proposed: 4, accepted: 4, source: 'lookup', copySought: true, matched: 9 } as const
      controller.observe({ ...round, draftUs: 0, targetUs: 1500, exchangeUs: 1600 }, response)
    }
    expect(controller.plainRounds(response, true)).toBe(0)
    expect(controller.plainRounds(response, false)).toBe(16)
  })
})

it('a draft that often has no opinion must be worth the asking', () => {
  const opinionated = new SpeculationController({ maxProposal: 4 })
  const silent = new SpeculationController({ maxProposal: 4 })
  for (const [controller, saysNothing] of [
    [opinionated, false],
    [silent, true],
  ] as const) {
    for (let i = 0; i < 200; i++) {
      controller.observe({ proposed: 0, accepted: 0, draftUs: 0, targetUs: 1000 })
      controller.observe({ proposed: 1, accepted: 1, draftUs: 150, targetUs: 1100 })
      if (saysNothing) controller.observe({ proposed: 0, accepted: 0, source: 'none', draftUs: 150, targetUs: 1000 })
    }
  }
  expect(silent.snapshot().breakEvenAcceptance).toBeGreaterThan(opinionated.snapshot().breakEvenAcceptance! + 0.05)
})

describe('kinds of traffic', () => {
  /** Rounds of responses of one kind, each of so many rounds; how many responses took part, and their share of proposals. */
  function serve(controller: SpeculationController, kind: string, acceptance: number, responses: number, seed: number) {
    const random = seededRandom(seed)
    let [speculated, proposedRounds] = [0, 0]
    for (let i = 0; i < responses; i++) {
      if (!controller.pays(kind)) continue
      speculated++
      const response = controller.begin(kind)
      for (let round = 0; round < 20; round++) {
        const { count: proposed } = controller.next(response)
        let accepted = 0
        while (accepted < proposed && random() < acceptance) accepted++
        const times = { draftUs: 250 * proposed, targetUs: verification(proposed + 1) }
        controller.observe({ proposed, accepted, ...times }, response)
        if (proposed > 0) proposedRounds++
      }
    }
    return { speculated, proposedRounds }
  }

  it('what one kind of traffic shows is not believed of another', () => {
    const controller = new SpeculationController({ maxProposal: 4 })
    for (let turn = 0; turn < 10; turn++) {
      serve(controller, 'known', 0.8, 2, turn)
      serve(controller, 'unknown', 0.02, 2, 100 + turn)
    }
    expect(controller.begin('known').proposal).toBeGreaterThan(0)
    expect(controller.begin('unknown').proposal).toBe(0)
  })

  it('a kind that nothing pays for goes without turns but for one response in ten, and comes back when it pays', () => {
    const controller = new SpeculationController({ maxProposal: 4 })
    serve(controller, 'hard', 0.02, 20, 1)
    const off = serve(controller, 'hard', 0.02, 100, 2)
    expect(off.speculated).toBe(10)
    // Within those, probes only.
    expect(off.proposedRounds).toBeLessThan(20)
    serve(controller, 'hard', 0.9, 200, 3)
    expect(serve(controller, 'hard', 0.9, 20, 4).speculated).toBe(20)
  })

  it('copies that turn up are a reason to take turns, with a draft that does not pay and without one', () => {
    const controller = new SpeculationController({ maxProposal: 4, hasDraft: false })
    const plain = { proposed: 0, accepted: 0, source: 'none', draftUs: 0, targetUs: 1000, exchangeUs: 1100 } as const
    for (let i = 0; i < 20; i++) controller.observe({ ...plain, copySought: true }, controller.begin('chat'))
    expect(controller.pays('another', true)).toBe(true)
    for (let i = 0; i < 400; i++) controller.observe({ ...plain, copySought: true }, controller.begin('chat'))
    const quoting = {
      proposed: 4,
      accepted: 4,
      source: 'lookup',
      copySought: true,
      matched: 9,
      draftUs: 0,
      targetUs: 1500,
    } as const
    for (let i = 0; i < 40; i++) controller.observe({ ...quoting, exchangeUs: 1600 }, controller.begin('quotes'))
    expect(Array.from({ length: 10 }, () => controller.pays('chat', true)).filter(Boolean)).toHaveLength(1)
    expect(controller.pays('quotes', true)).toBe(true)
    expect(controller.pays('chat', false)).toBe(false)
  })
})
