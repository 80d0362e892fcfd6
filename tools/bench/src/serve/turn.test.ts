import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Answered, Answering, Question } from './contestants.js'
import { overRounds, serveFigures, takeTurn } from './turn.js'

const questions: Question[] = Array.from({ length: 7 }, (_, seed) => ({
  prompt: 'a',
  domain: '',
  temperature: 0,
  seed,
  maxTokens: 2,
}))
const answer: Answered = {
  startedMs: 100,
  arrivals: [
    { atMs: 140, tokens: 1 },
    { atMs: 160, tokens: 2 },
  ],
  tokens: 3,
  drafts: 1,
}

describe('a turn', () => {
  it('asks every question once, no more at a time than there are clients, and one per client', async () => {
    const asked: number[] = []
    const busy = new Set<number>()
    let most = 0
    const answering: Answering = {
      ask: async ({ seed }, client) => {
        expect(busy.has(client)).toBe(false)
        busy.add(client)
        most = Math.max(most, busy.size)
        asked.push(seed)
        await Promise.resolve()
        busy.delete(client)
        return answer
      },
      close: async () => {},
    }
    const turn = await takeTurn(answering, questions, 3)
    expect(asked.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(most).toBe(3)
    expect(turn.answers).toHaveLength(7)
  })

  it('is busy until one client has no question left, however long others take', async () => {
    const held = Promise.withResolvers<void>()
    const ask = async (_: Question, client: number) => {
      if (client === 1) await held.promise
      return answer
    }
    const turning = takeTurn({ ask, close: async () => {} }, questions.slice(0, 2), 2)
    await sleep(5)
    const releasedMs = performance.now()
    held.resolve()
    const { startMs, busyUntilMs } = await turning
    expect(busyUntilMs).toBeGreaterThanOrEqual(startMs)
    expect(busyUntilMs).toBeLessThan(releasedMs)
  })

  it('is compared with the turn of the other one in its round', () => {
    const turn = (seconds: number) => ({ startMs: 0, busyUntilMs: 1000 * seconds, answers: [answer] })
    const { ratio, low, high } = overRounds([turn(1), turn(10)], [turn(2), turn(20)])
    expect([ratio, low, high]).toEqual([2, 2, 2].map((value) => expect.closeTo(value, 9)))
    const uneven = overRounds([turn(1), turn(1)], [turn(1), turn(4)])
    expect(uneven.ratio).toBeCloseTo(2)
    expect(uneven.high).toBeGreaterThan(2)
    expect(overRounds([turn(1)], [turn(2)])).toEqual({ ratio: 2, low: Number.NaN, high: Number.NaN })
  })

  it('counts while every client has a question, and waits by request and by token', () => {
    const slow = { ...answer, arrivals: [{ atMs: 500, tokens: 3 }], drafts: 0 }
    const late = { ...answer, arrivals: [...answer.arrivals, { atMs: 3500, tokens: 4 }], tokens: 7 }
    const figures = serveFigures([
      { startMs: 0, busyUntilMs: 1000, answers: [answer, answer] },
      { startMs: 0, busyUntilMs: 3000, answers: [slow, late] },
    ])
    expect(figures.requestsPerSecond).toBe(0.75)
    expect(figures.tokensPerSecond).toBe(3)
    expect(figures.firstTokenMs).toEqual({ p50: 40, p99: 400 })
    expect(figures.interTokenMs).toEqual({ p50: 10, p99: 835 })
    expect(figures.proposedShare).toBe(0.75)
  })
})
