import { expect, it } from 'vitest'
import { DecodingModes, type DecodingMode } from './decoding-modes.js'
import { seededRandom } from './random.js'

interface World {
  readonly plain: number
  readonly speculative: number
  /** Responses at once; default 1. */
  readonly running?: number
  /** Of times with proposals around their mean, which depend on the text; of plain ones less. Default 0. */
  readonly spread?: number
}

/**
 * So many responses; the share that was decoded with proposals. Each takes what the mix of the responses around it takes, its
 * own way having no part in it, as in one batch.
 */
function serve(
  modes: DecodingModes,
  { plain, speculative, running = 1, spread = 0 }: World,
  responses: number,
  seed = 1,
): number {
  const random = seededRandom(seed)
  const batch: boolean[] = []
  let speculated = 0
  for (let i = 0; i < responses; i++) {
    const mode = modes.next(running)
    if (mode.speculates) speculated++
    batch.push(mode.speculates)
    const around = batch.slice(-running)
    const share = around.filter(Boolean).length / around.length
    const text = 1 + spread * (mode.speculates ? 1 : 0.2) * (2 * random() - 1) * Math.sqrt(3)
    const us = (share * speculative + (1 - share) * plain) * (0.9 + 0.2 * random()) * text
    mode.ended?.(us)
  }
  return speculated / responses
}

it.each([1, 4, 16])('goes the faster way with %d at once, though a batch is as slow for all in it', (running) => {
  const slow = new DecodingModes()
  serve(slow, { plain: 1000, speculative: 1400, running }, 20 * running)
  expect(serve(slow, { plain: 1000, speculative: 1400, running }, 400 * running)).toBeLessThan(0.07)
  const fast = new DecodingModes()
  serve(fast, { plain: 1000, speculative: 700, running }, 20 * running)
  expect(serve(fast, { plain: 1000, speculative: 700, running }, 400 * running)).toBeGreaterThan(0.93)
})

it('what it costs where proposals do not pay stays under 3 %', () => {
  const modes = new DecodingModes()
  serve(modes, { plain: 1000, speculative: 1500 }, 20)
  expect(serve(modes, { plain: 1000, speculative: 1500 }, 2000) * 0.5).toBeLessThan(0.03)
})

it.each([0.03, 0.05, 0.1, 0.2, 0.35, 0.6])(
  'nor where a response takes half as long as the next one, at a loss of %d',
  (loss) => {
    const excess = [1, 2, 3, 4].map((seed) => {
      const modes = new DecodingModes()
      const world = { plain: 1000, speculative: 1000 * (1 + loss), running: 4, spread: 0.35 }
      serve(modes, world, 400, seed)
      return loss * serve(modes, world, 4000, seed + 10)
    })
    expect(Math.max(...excess)).toBeLessThan(0.03)
  },
)

/** Tokens that a step gives to a response with proposals; one without gets one of it, however long it was for others' sake. */
const TOKENS_A_STEP = 2

/**
 * So many rushes of clients that each ask one question after the other, until 48 are answered: the load rises, stays and falls
 * again. Steps take as long as the positions of the responses beside each other make them. The share that was decoded with
 * proposals, which take 1 + loss times as long where all have them as where none has.
 */
function serveRushes(modes: DecodingModes, loss: number, rushes: number, seed: number): number {
  const random = seededRandom(seed)
  let speculated = 0
  for (let rush = 0; rush < rushes; rush++) {
    const batch: { readonly mode: DecodingMode; beside: number; share: number; steps: number }[] = []
    const end = () => {
      const share = batch.filter(({ mode }) => mode.speculates).length / batch.length
      for (const one of batch) {
        one.beside += batch.length
        one.share += share
        one.steps++
      }
      const [one] = batch.splice(Math.floor(random() * Math.min(4, batch.length)), 1)
      const stepUs = 1000 * (0.3 + (0.7 * one!.beside) / one!.steps / 16)
      const longer = 1 + ((TOKENS_A_STEP * (1 + loss) - 1) * one!.share) / one!.steps
      const us = (stepUs * longer) / (one!.mode.speculates ? TOKENS_A_STEP : 1)
      one!.mode.ended?.(us * (0.8 + 0.4 * random()))
    }
    for (let i = 0; i < 48; i++) {
      if (batch.length === 16) end()
      const mode = modes.next(batch.length + 1)
      if (mode.speculates) speculated++
      batch.push({ mode, beside: 0, share: 0, steps: 0 })
    }
    while (batch.length > 0) end()
  }
  return speculated / (48 * rushes)
}

it.each([0.1, 0.2, 0.45, 0.6])('nor where clients come in rushes, at a loss of %d', (loss) => {
  const costs = Array.from({ length: 12 }, (_, seed) => {
    const modes = new DecodingModes()
    serveRushes(modes, loss, 12, seed)
    return loss * serveRushes(modes, loss, 24, seed + 100)
  })
  expect(costs.reduce((sum, cost) => sum + cost) / costs.length).toBeLessThan(0.03)
})

it('a machine that becomes slower and faster again is no reason to change', () => {
  const modes = new DecodingModes()
  const world = { plain: 1000, speculative: 1300, running: 4 }
  serve(modes, world, 400)
  for (const pace of [2, 1, 3, 1]) {
    const slowed = { ...world, plain: world.plain * pace, speculative: world.speculative * pace }
    expect(serve(modes, slowed, 400)).toBeLessThan(0.2)
  }
})

it('notices when it turns, either way', () => {
  const modes = new DecodingModes()
  serve(modes, { plain: 1000, speculative: 700 }, 50)
  serve(modes, { plain: 1000, speculative: 1500 }, 200)
  expect(serve(modes, { plain: 1000, speculative: 1500 }, 200)).toBeLessThan(0.1)
  serve(modes, { plain: 1000, speculative: 700 }, 800)
  expect(serve(modes, { plain: 1000, speculative: 700 }, 200)).toBeGreaterThan(0.9)
})

it('another draft is looked at soon', () => {
  const modes = new DecodingModes()
  serve(modes, { plain: 1000, speculative: 1500 }, 100)
  modes.renew()
  expect(serve(modes, { plain: 1000, speculative: 600 }, 40)).toBeGreaterThan(0.7)
})

it('loads are apart, and a single long pause decides nothing', () => {
  const modes = new DecodingModes()
  serve(modes, { plain: 1000, speculative: 1500, running: 16 }, 400)
  serve(modes, { plain: 1000, speculative: 700, running: 1 }, 60)
  for (let seen = false; !seen;) {
    const mode = modes.next(1)
    seen = mode.speculates && mode.ended !== undefined
    if (seen) mode.ended?.(1e9)
  }
  expect(serve(modes, { plain: 1000, speculative: 1500, running: 16 }, 1600)).toBeLessThan(0.07)
  expect(serve(modes, { plain: 1000, speculative: 700, running: 1 }, 200)).toBeGreaterThan(0.8)
})

it('where nothing can be timed, responses go with proposals', () => {
  const modes = new DecodingModes()
  expect(Array.from({ length: 50 }, () => modes.next(1).speculates)).not.toContain(false)
})
