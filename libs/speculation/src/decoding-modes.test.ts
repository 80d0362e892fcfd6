import { expect, it } from 'vitest'
import { DecodingModes, type DecodingMode } from './decoding-modes.js'
import { seededRandom, type Random } from './random.js'

interface World {
  /** Of a step, as a share of what it takes without proposals. */
  readonly speculative: number
  /** Tokens of a step with proposals, on average. */
  readonly tokensAStep?: number
  /** Responses at once; default 1. */
  readonly running?: number
  /** Clients that ask one question after the other until 48 are answered, then all pause: default false. */
  readonly inRushes?: boolean
  /** How fast the machine is; default 1. */
  readonly pace?: number
}

const TOKENS = 64
/** A step without proposals. */
const STEP_US = 10_000

interface Decoded {
  readonly mode: DecodingMode
  /** Of its text: how much of what is proposed holds. */
  readonly luck: number
  left: number
}

/**
 * A target that decodes all responses in one batch: a step takes as long as the mix of them makes it, whoever they are, and a
 * response with proposals gets some tokens of it, more or fewer by its text. Time goes on from call to call.
 */
class Target {
  readonly modes = new DecodingModes(() => this.#batch.length)
  readonly #random: Random
  readonly #batch: Decoded[] = []
  #us = 0

  constructor(seed = 1) {
    this.#random = seededRandom(seed)
  }

  /** So many responses; the share that was decoded with proposals. */
  serve({ speculative, running = 1, tokensAStep = 2, inRushes = false, pace = 1 }: World, responses: number): number {
    const batch = this.#batch
    let [begun, speculated] = [0, 0]
    while (begun < responses || batch.length > 0) {
      const isPaused = inRushes && begun % 48 === 0 && batch.length > 0
      while (batch.length < running && begun < responses && !isPaused) {
        begun++
        if (this.#begin().speculates) speculated++
        if (inRushes && begun % 48 === 0) break
      }
      this.#step(speculative, tokensAStep, pace)
    }
    return speculated / responses
  }

  #begin(): DecodingMode {
    const decoded = { luck: this.#random(), left: TOKENS }
    // Running already when it is decided how.
    const at = this.#batch.push(decoded as Decoded) - 1
    const mode = this.modes.next()
    mode.waits(this.#us)
    this.#batch[at] = { ...decoded, mode }
    return mode
  }

  #step(speculative: number, tokensAStep: number, pace: number): void {
    const batch = this.#batch
    const share = batch.filter(({ mode }) => mode.speculates).length / batch.length
    const longer = 1 + share * (tokensAStep * speculative - 1)
    this.#us += STEP_US * pace * (0.3 + (0.7 * batch.length) / 16) * longer * (0.9 + 0.2 * this.#random())
    for (const one of batch.slice()) {
      // From one token to the most that makes the average.
      const more = one.mode.speculates ? (tokensAStep - 1) * 2 * one.luck : 0
      const tokens = 1 + Math.floor(more + this.#random())
      one.left -= tokens
      one.mode.emitted(tokens, this.#us)
      if (one.left > 0) one.mode.waits(this.#us)
      else {
        one.mode.ended(this.#us)
        batch.splice(batch.indexOf(one), 1)
      }
    }
  }
}

it.each([1, 4, 16])('goes the faster way with %d at once, though a batch is as slow for all in it', (running) => {
  const slow = new Target()
  slow.serve({ speculative: 1.4, running }, 20 * running)
  expect(slow.serve({ speculative: 1.4, running }, 400 * running)).toBeLessThan(0.07)
  const fast = new Target()
  fast.serve({ speculative: 0.7, running }, 20 * running)
  expect(fast.serve({ speculative: 0.7, running }, 400 * running)).toBeGreaterThan(0.93)
})

it.each([1, 4, 16])('what it costs where proposals do not pay stays under 3 % with %d at once', (running) => {
  for (const loss of [0.03, 0.05, 0.1, 0.2, 0.35, 0.6]) {
    const costs = Array.from({ length: 6 }, (_, seed) => {
      const target = new Target(seed)
      const world = { speculative: 1 + loss, running }
      target.serve(world, 40 * running)
      return loss * target.serve(world, 200 * running)
    })
    const mean = costs.reduce((sum, cost) => sum + cost) / costs.length
    expect(mean, `a loss of ${loss}`).toBeLessThan(0.03)
  }
})

it('nor in any run of many, at a loss of any size, with 4 at once', () => {
  for (const loss of [0.03, 0.05, 0.1, 0.2, 0.35, 0.6]) {
    const costs = [1, 2, 3, 4].map((seed) => {
      const target = new Target(seed)
      target.serve({ speculative: 1 + loss, running: 4 }, 400)
      return loss * target.serve({ speculative: 1 + loss, running: 4 }, 4000)
    })
    expect(Math.max(...costs), `a loss of ${loss}`).toBeLessThan(0.03)
  }
})

it('nor where clients come in rushes', () => {
  for (const loss of [0.1, 0.2, 0.45, 0.6]) {
    const costs = Array.from({ length: 12 }, (_, seed) => {
      const target = new Target(seed)
      const world = { speculative: 1 + loss, running: 16, inRushes: true }
      target.serve(world, 12 * 48)
      return loss * target.serve(world, 24 * 48)
    })
    const mean = costs.reduce((sum, cost) => sum + cost) / costs.length
    expect(mean, `a loss of ${loss}`).toBeLessThan(0.03)
  }
})

it('a machine that becomes slower and faster again is no reason to change', () => {
  const target = new Target()
  const world = { speculative: 1.3, running: 4 }
  target.serve(world, 400)
  for (const pace of [2, 1, 3, 1]) expect(target.serve({ ...world, pace }, 400)).toBeLessThan(0.2)
})

it('notices when it turns, either way', () => {
  const target = new Target()
  target.serve({ speculative: 0.7 }, 50)
  target.serve({ speculative: 1.5 }, 200)
  expect(target.serve({ speculative: 1.5 }, 200)).toBeLessThan(0.1)
  target.serve({ speculative: 0.7 }, 800)
  expect(target.serve({ speculative: 0.7 }, 200)).toBeGreaterThan(0.9)
})

it('notices traffic that proposals do not pay for within a few looks, however long they paid before', () => {
  const costs = [1, 2, 3, 4].map((seed) => {
    const target = new Target(seed)
    target.serve({ speculative: 0.9, running: 4 }, 4000)
    target.serve({ speculative: 1.25, running: 4 }, 400)
    return target.serve({ speculative: 1.25, running: 4 }, 1000)
  })
  expect(Math.max(...costs)).toBeLessThan(0.2)
})

it.each([
  { running: 4, within: 0.16 },
  { running: 16, within: 0.35 },
])('notices within some blocks that less is accepted, with $running at once', ({ running, within }) => {
  const costs = Array.from({ length: 8 }, (_, seed) => {
    const target = new Target(seed)
    target.serve({ speculative: 0.8, running }, 2000)
    return target.serve({ speculative: 1.4, tokensAStep: 1.3, running }, 16 * running + 200)
  })
  expect(costs.reduce((sum, cost) => sum + cost) / costs.length).toBeLessThan(within)
})

it('another draft is looked at soon', () => {
  const target = new Target()
  target.serve({ speculative: 1.5 }, 100)
  target.modes.renew()
  expect(target.serve({ speculative: 0.6 }, 40)).toBeGreaterThan(0.7)
  target.serve({ speculative: 0.6 }, 20)
  expect(target.serve({ speculative: 0.6 }, 40)).toBeGreaterThan(0.85)
})

it('loads are apart', () => {
  const target = new Target()
  target.serve({ speculative: 1.5, running: 16 }, 800)
  target.serve({ speculative: 0.7 }, 60)
  expect(target.serve({ speculative: 1.5, running: 16 }, 1600)).toBeLessThan(0.07)
  expect(target.serve({ speculative: 0.7 }, 200)).toBeGreaterThan(0.8)
  expect(target.serve({ speculative: 0.7 }, 200)).toBeGreaterThan(0.85)
})

interface Alone {
  /** Of a token with proposals, as a share of what it takes without. */
  readonly speculative?: number
  readonly pauseUs?: number
  readonly apart?: boolean
}

/** Responses one after the other, a token every 10 ms; a pause in the first. The share that was decoded with proposals. */
function respond(modes: DecodingModes, responses: number, { speculative = 1, pauseUs = 0, apart = false }: Alone) {
  let speculated = 0
  for (let i = 0; i < responses; i++) {
    const mode = modes.next()
    if (apart) mode.goesApart()
    if (mode.speculates) speculated++
    let us = 0
    for (let token = 0; token < TOKENS; token++) {
      mode.waits(us)
      us += STEP_US * (mode.speculates ? speculative : 1) + (i === 0 && token === 30 ? pauseUs : 0)
      mode.emitted(1, us)
    }
    mode.ended(us)
  }
  return speculated / responses
}

it('a single long pause decides nothing', () => {
  const modes = new DecodingModes(() => 1)
  respond(modes, 200, { speculative: 1.5 })
  expect(respond(modes, 60, { speculative: 1.5, pauseUs: 1e12 })).toBeLessThan(0.2)
})

it('what goes apart says nothing', () => {
  expect(respond(new DecodingModes(() => 1), 200, { speculative: 1.5, apart: true })).toBe(1)
  expect(respond(new DecodingModes(() => 1), 200, { speculative: 1.5 })).toBeLessThan(0.3)
})

it('where nothing can be timed, responses go with proposals', () => {
  const modes = new DecodingModes(() => 1)
  expect(Array.from({ length: 50 }, () => modes.next().speculates)).not.toContain(false)
})
