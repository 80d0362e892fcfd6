import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Answered, Answering, Question } from './contestants.js'
import { overRounds, serveFigures, takeTurn } from './turn.js'

const questions: Question[] = Array.from({ length: 99 }, (_, seed) => ({
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
  it('asks one question after the other, one at a time per client, and no more once it is over', async () => {
    const asked: number[] = []
    const busy = new Set<number>()
    let most = 0
    const answering: Answering = {
      ask: async ({ seed }, client) => {
        expect(busy.has(client)).toBe(false)
        busy.add(client)
        most = Math.max(most, busy.size)
        asked.push(seed)
        await sleep(20)
        busy.delete(client)
        return answer
      },
      close: async () => {},
    }
    const startMs = performance.now()
    const { fromMs, toMs, answers } = await takeTurn(answering, questions, { clients: 3, seconds: 0.2 })
    expect(asked).toEqual(Array.from({ length: asked.length }, (_, i) => i))
    expect(most).toBe(3)
    expect(answers).toHaveLength(asked.length)
    expect(fromMs - startMs).toBeGreaterThanOrEqual(40)
    expect(toMs - fromMs).toBeCloseTo(160)
  })

  it('ends where there are too few questions', async () => {
    const answering: Answering = { ask: async () => answer, close: async () => {} }
    await expect(takeTurn(answering, questions, { clients: 1, seconds: 60 })).rejects.toThrow('its 99 questions')
  })

  it('is compared with the turn of the other one in its round', () => {
    const turn = (seconds: number) => ({ fromMs: 0, toMs: 1000 * seconds, answers: [answer] })
    const { ratio, low, high } = overRounds([turn(1), turn(10)], [turn(2), turn(20)])
    expect([ratio, low, high]).toEqual([2, 2, 2].map((value) => expect.closeTo(value, 9)))
    const uneven = overRounds([turn(1), turn(1)], [turn(1), turn(4)])
    expect(uneven.ratio).toBeCloseTo(2)
    expect(uneven.high).toBeGreaterThan(2)
    expect(overRounds([turn(1)], [turn(2)])).toEqual({ ratio: 2, low: Number.NaN, high: Number.NaN })
  })

  it('counts what was between its times, and waits by request and by token', () => {
    const slow = { ...answer, arrivals: [{ atMs: 500, tokens: 3 }], drafts: 0 }
    const late = { ...answer, arrivals: [...answer.arrivals, { atMs: 3500, tokens: 4 }], tokens: 7 }
    const early = {
      ...answer,
      startedMs: -100,
      arrivals: [
        { atMs: -1, tokens: 4 },
        { atMs: 1, tokens: 3 },
      ],
      drafts: 0,
    }
    const figures = serveFigures([
      { fromMs: 0, toMs: 1000, answers: [answer, answer] },
      { fromMs: 0, toMs: 3000, answers: [early, slow, late] },
    ])
    expect(figures.requestsPerSecond).toBe(1)
    expect(figures.tokensPerSecond).toBe(3.75)
    expect(figures.firstTokenMs).toEqual({ p50: 40, p99: 400 })
    expect(figures.interTokenMs).toEqual({ p50: 10, p99: 835 })
    expect(figures.proposedShare).toBe(0.75)
  })
})
