import { describe, expect, it } from 'vitest'
import { Refused } from '../live/streamed-completion.js'
import { crowdFigures, TurnedAway } from './overload.js'

describe('more clients than places', () => {
  it('counts tokens after the beginning and before the end only, whenever their answer ended', () => {
    const arrivals = [1500, 2500, 9999, 10_500].map((atMs) => ({ atMs, tokens: 8 }))
    const answers = [{ startedMs: 1000, arrivals, tokens: 32, drafts: 0 }]
    const figures = crowdFigures({ clients: 2, answers, refusals: [], failures: [], startMs: 0, seconds: 10 })
    expect(figures.tokensPerSecond).toBe(2)
  })

  it('notices a refusal that does not say when to come back', () => {
    const refusals = [{ retryAfterSeconds: 3 }, { retryAfterSeconds: undefined }, { retryAfterSeconds: Number.NaN }]
    const figures = crowdFigures({ clients: 2, answers: [], refusals, failures: [], startMs: 0, seconds: 10 })
    expect(figures).toMatchObject({ refused: 3, withoutRetryAfter: 2, longestRetryAfterSeconds: 3 })
  })

  it('keeps refusals for being too many apart from failures, and comes back when it was told to', () => {
    const turnedAway = new TurnedAway()
    const errors = [new Refused(429, 7, ''), new Refused(429, undefined, ''), new Refused(503, 9, 'down')]
    expect(errors.map((error) => turnedAway.add(error))).toEqual([7, 1, 1])
    expect(turnedAway.refusals).toHaveLength(2)
    expect(turnedAway.failures).toEqual(['Refused: HTTP 503: down'])
  })
})
