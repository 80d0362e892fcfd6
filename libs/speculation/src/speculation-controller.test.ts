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
    const proposed = controller.next()
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
        const proposed = controller.next()
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
        const proposed = controller.next(response)
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
      const proposed = asked.next()
      probes.asked += proposed > 0 ? 1 : 0
      asked.observe({ proposed, accepted: 0, draftUs: 250 * proposed, targetUs: verification(proposed + 1) })
    }
    for (let round = 0; round < 2000; round++) {
      const proposed = left.next()
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
    expect(controller.next()).toBe(0)
    expect(() => controller.observe({ proposed: 1, accepted: 0, draftUs: 1, targetUs: 1 })).toThrow(RangeError)
  })
})
