import { expect, it } from 'vitest'
import { interleave } from './interleave.js'

async function* numbers(from: number, to: number, state: { closed: number; pulled: number }) {
  try {
    for (let i = from; i < to; i++) {
      state.pulled += 1
      yield i
    }
  } finally {
    state.closed += 1
  }
}
const fresh = () => ({ closed: 0, pulled: 0 })

it('all values come, those of one source in their order, and no source waits for another one’s end', async () => {
  const state = fresh()
  const found: number[] = []
  for await (const { index, value } of interleave([numbers(0, 5, state), numbers(100, 105, state)], () => {})) {
    expect(index).toBe(value < 100 ? 0 : 1)
    found.push(value)
  }
  expect(found.filter((value) => value < 100)).toEqual([0, 1, 2, 3, 4])
  expect(found.filter((value) => value >= 100)).toEqual([100, 101, 102, 103, 104])
  expect(found.indexOf(100)).toBeLessThan(found.indexOf(4))
  expect(state.closed).toBe(2)
})

it('a source that hangs holds nobody else up, and a slow consumer holds all', async () => {
  const state = fresh()
  const stop = Promise.withResolvers<void>()
  async function* hanging(): AsyncGenerator<number, void> {
    await stop.promise
    yield* []
  }
  let taken = 0
  for await (const _ of interleave([hanging(), numbers(0, 1000, state)], () => stop.resolve())) {
    taken += 1
    expect(state.pulled).toBeLessThanOrEqual(taken + 1)
    if (taken === 10) break
  }
  expect(state.closed).toBe(1)
})

it('a failure ends all with it', async () => {
  const state = fresh()
  let aborted = false
  async function* failing(): AsyncGenerator<number, void> {
    yield 1
    throw new Error('no')
  }
  const read = async (): Promise<void> => {
    for await (const _ of interleave([numbers(0, 1000, state), failing()], () => (aborted = true))) continue
  }
  await expect(read()).rejects.toThrow('no')
  expect([aborted, state.closed]).toEqual([true, 1])
})
