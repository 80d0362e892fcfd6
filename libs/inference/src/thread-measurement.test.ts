import { expect, test } from 'vitest'
import type { InferenceSession } from './session.js'
import { threadCounts } from './thread-counts.js'
import { measureThreads } from './thread-measurement.js'

test('thread counts double, and end at the most', () => {
  expect([1, 2, 3, 8, 12].map(threadCounts)).toEqual([[1], [1, 2], [1, 2, 3], [1, 2, 4, 8], [1, 2, 4, 8, 12]])
})

/** A machine on which a step of n threads takes stepUs[n], and every tenth is disturbed. */
async function choose(stepUs: Record<number, number>, budgetMs = 1000) {
  let now = 0
  let steps = 0
  const released: number[] = []
  const load = async (threads: number) =>
    ({ threads, release: async () => void released.push(threads) }) as unknown as InferenceSession & { threads: number }
  const step = async (session: InferenceSession) => {
    const us = stepUs[(session as unknown as { threads: number }).threads]! * (steps++ % 10 === 0 ? 5 : 1)
    now += us / 1000
    return us
  }
  const threads = Math.max(...Object.keys(stepUs).map(Number))
  const chosen = await measureThreads(load, step, { threads, budgetMs, clock: () => now })
  return { chosen, released, spentMs: now }
}

test('as many threads as pay, and the sessions of the others are released', async () => {
  const { chosen, released } = await choose({ 1: 9000, 2: 5000, 4: 3000, 8: 2900, 16: 1000 })
  expect(chosen.threads).toBe(4)
  expect(chosen.session).toMatchObject({ threads: 4 })
  expect(chosen.stepUs).toEqual(
    new Map([
      [1, 9000],
      [2, 5000],
      [4, 3000],
      [8, 2900],
    ]),
  )
  expect(released).toEqual([1, 2, 8])
})

test('a second thread that brings little is left to others', async () => {
  const { chosen, released } = await choose({ 1: 1000, 2: 900 })
  expect(chosen.threads).toBe(1)
  expect(released).toEqual([2])
})

test('one processor needs no measurement', async () => {
  expect(await choose({ 1: 1000 })).toMatchObject({ chosen: { threads: 1 }, spentMs: 0, released: [] })
})

test('the time it takes is bounded, however slow a step is', async () => {
  const fast = await choose({ 1: 9000, 2: 5000, 4: 3000 }, 600)
  // Two comparisons of 300 ms each, and the turn in which the time ran out.
  expect(fast.spentMs).toBeLessThan(600 + 2 * 4 * 5 * (9 + 5))
  const slow = await choose({ 1: 1_000_000, 2: 400_000 }, 600)
  expect(slow.chosen.threads).toBe(2)
  expect(slow.spentMs).toBeLessThan(4 * 1400 * 2)
})
