import { expect, it } from 'vitest'
import { DecodingModes } from './decoding-modes.js'
import { seededRandom } from './random.js'

/** So many responses of one kind; the share that was decoded with proposals. */
function serve(
  modes: DecodingModes,
  kind: string,
  us: { plain: number; speculative: number },
  responses: number,
  seed = 1,
) {
  const random = seededRandom(seed)
  let speculated = 0
  for (let i = 0; i < responses; i++) {
    const speculative = modes.speculates(kind)
    if (speculative) speculated++
    const noise = 0.9 + 0.2 * random()
    modes.observe(kind, speculative, noise * (speculative ? us.speculative : us.plain))
  }
  return speculated / responses
}

it('goes the faster way, and looks at the other one time in twenty', () => {
  const modes = new DecodingModes()
  serve(modes, 'slow', { plain: 1000, speculative: 1500 }, 20)
  expect(serve(modes, 'slow', { plain: 1000, speculative: 1500 }, 400)).toBeCloseTo(1 / 20, 2)
  serve(modes, 'fast', { plain: 1000, speculative: 700 }, 20)
  expect(serve(modes, 'fast', { plain: 1000, speculative: 700 }, 400)).toBeCloseTo(19 / 20, 2)
})

it('what it costs where proposals do not pay stays under 3 %', () => {
  const modes = new DecodingModes()
  serve(modes, 'x', { plain: 1000, speculative: 1500 }, 20)
  const speculated = serve(modes, 'x', { plain: 1000, speculative: 1500 }, 1000)
  expect(speculated * 0.5).toBeLessThan(0.03)
})

it('notices when it turns, either way', () => {
  const modes = new DecodingModes()
  serve(modes, 'x', { plain: 1000, speculative: 700 }, 50)
  serve(modes, 'x', { plain: 1000, speculative: 1500 }, 50)
  expect(serve(modes, 'x', { plain: 1000, speculative: 1500 }, 100)).toBeLessThan(0.1)
  serve(modes, 'x', { plain: 1000, speculative: 700 }, 400)
  expect(serve(modes, 'x', { plain: 1000, speculative: 700 }, 100)).toBeGreaterThan(0.9)
})

it('another draft is looked at soon', () => {
  const modes = new DecodingModes()
  serve(modes, 'x', { plain: 1000, speculative: 1500 }, 100)
  modes.renew()
  expect(serve(modes, 'x', { plain: 1000, speculative: 600 }, 40)).toBeGreaterThan(0.5)
})

it('kinds are apart, and a single long pause decides nothing', () => {
  const modes = new DecodingModes()
  serve(modes, 'a', { plain: 1000, speculative: 1500 }, 60)
  serve(modes, 'b', { plain: 1000, speculative: 700 }, 60)
  modes.observe('b', true, 1e9)
  expect(serve(modes, 'a', { plain: 1000, speculative: 1500 }, 40)).toBeLessThan(0.1)
  expect(serve(modes, 'b', { plain: 1000, speculative: 700 }, 100)).toBeGreaterThan(0.6)
})
