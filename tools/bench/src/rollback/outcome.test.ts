import { Rollout, RolloutState } from '@plateau/contracts'
import { describe, expect, it } from 'vitest'
import { outcomeFigures, placeOf, type Outcome } from './outcome.js'

const record = (state: RolloutState): Rollout => Rollout.fromPartial({ version: 9, state })
const announced = record(RolloutState.ROLLOUT_STATE_ANNOUNCED)
const shadow = record(RolloutState.ROLLOUT_STATE_SHADOW)
const canary = record(RolloutState.ROLLOUT_STATE_CANARY)
const live = record(RolloutState.ROLLOUT_STATE_LIVE)
const confirmed = record(RolloutState.ROLLOUT_STATE_CONFIRMED)
const rejected = record(RolloutState.ROLLOUT_STATE_REJECTED)
const rolledBack = record(RolloutState.ROLLOUT_STATE_ROLLED_BACK)

describe('where a version was stopped', () => {
  it('is the last step that it took before', () => {
    expect(placeOf([announced, rejected], rejected)).toBe('verification')
    expect(placeOf([announced, shadow, rejected], rejected)).toBe('shadow')
    expect(placeOf([announced, shadow, canary, rejected], rejected)).toBe('canary')
    expect(placeOf([announced, shadow, canary, live, confirmed, rolledBack], rolledBack)).toBe('live')
  })

  it('is nowhere as long as nothing says so', () => {
    expect(placeOf([announced, shadow, canary, live], undefined)).toBe('not stopped')
  })
})

describe('many outcomes', () => {
  const outcome = (more: Partial<Outcome>): Outcome => ({
    version: 1,
    place: 'canary',
    requests: 0,
    seconds: 1,
    difference: undefined,
    comparison: undefined,
    reason: '',
    ...more,
  })

  it('are counted by place, with the middle and the worst of requests and seconds', () => {
    const figures = outcomeFigures([
      outcome({ requests: 3, seconds: 9 }),
      outcome({ requests: 40, seconds: 2, place: 'live' }),
      outcome({ requests: 1, seconds: 4 }),
    ])
    expect(figures).toMatchObject({ rounds: 3, places: { canary: 2, live: 1 } })
    expect(figures).toMatchObject({ medianRequests: 3, maxRequests: 40, medianSeconds: 4, maxSeconds: 9 })
  })

  it('keep differences of alpha and of acceptance apart', () => {
    const { differences } = outcomeFigures([
      outcome({ comparison: 'windows', difference: -0.2 }),
      outcome({ comparison: 'windows', difference: -0.1 }),
      outcome({ comparison: 'live-acceptance', difference: -0.4 }),
      outcome({}),
    ])
    expect(differences['windows']).toBeCloseTo(-0.15)
    expect(differences['live-acceptance']).toBe(-0.4)
  })
})
