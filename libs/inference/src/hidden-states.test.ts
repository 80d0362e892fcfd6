import { expect, it } from 'vitest'
import { HiddenStates } from './hidden-states.js'

/** Tokens [from, to) of a text whose token t has the state [t, -t]. */
const states = (from: number, to: number) =>
  Float32Array.from({ length: 2 * (to - from) }, (_, i) => (i % 2 === 0 ? 1 : -1) * (from + Math.floor(i / 2)))

it("keeps the last tokens' states, whatever pieces they come in", () => {
  for (const cuts of [
    [0, 100],
    [0, 7, 60, 61, 100],
    [0, 59, 100],
    [90, 100],
  ]) {
    const hidden = new HiddenStates(100, 40, 2)
    expect([hidden.first, hidden.of(99, 1)]).toEqual([60, undefined])
    for (let i = 0; i + 1 < cuts.length; i++) hidden.set(cuts[i]!, states(cuts[i]!, cuts[i + 1]!))
    expect(hidden.of(95, 5)).toEqual(states(95, 100))
    expect(hidden.of(60, 10)).toEqual(cuts[0] === 0 ? states(60, 70) : undefined)
    expect(hidden.of(59, 5)).toBeUndefined()
  }
})

it('does not make up what it was not told', () => {
  const hidden = new HiddenStates(48, 100, 2)
  hidden.set(0, states(0, 16))
  hidden.forget(32)
  hidden.set(32, states(32, 48))
  expect([hidden.of(0, 16), hidden.of(16, 16)]).toEqual([undefined, undefined])
  expect(hidden.of(32, 16)).toEqual(states(32, 48))
})
