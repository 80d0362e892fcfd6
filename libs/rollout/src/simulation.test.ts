import { seededRandom } from '@plateau/speculation'
import { describe, expect, it } from 'vitest'
import {
  madeUpResponses,
  recordedResponses,
  simulateTrials,
  type MadeUpResponses,
  type PairedResponse,
  type SimulatedTrial,
  type SimulatedTrials,
} from './simulation.js'
import { standardTrial } from './trial-options.js'

/** A hundred versions on realistic traffic; three epochs of the watch are 6,000 positions. */
function trials({ made = {}, ...version }: Partial<SimulatedTrials> & { readonly made?: Partial<MadeUpResponses> }) {
  const usual = { trials: 100, options: standardTrial, responses: madeUpResponses(made), watchedPositions: 6_000 }
  return simulateTrials({ ...usual, ...version }, seededRandom(1))
}

const leftFrom = (found: readonly SimulatedTrial[], phase: string): number =>
  found.filter((trial) => trial.leftFrom === phase).length

const quantile = (numbers: readonly (number | undefined)[], share: number): number =>
  numbers.map((n) => n ?? Number.POSITIVE_INFINITY).toSorted((a, b) => a - b)[Math.ceil(share * numbers.length) - 1]!

describe('a hundred trials', () => {
  it('of versions as good as the live one: none is thrown out in eight epochs of the watch, all are confirmed', () => {
    const found = trials({ watchedPositions: 16_000 })
    expect(found.map(({ phase }) => phase)).toEqual(Array.from({ length: 100 }, () => 'confirmed'))
    expect(
      quantile(
        found.map(({ positionsToLive }) => positionsToLive),
        0.5,
      ),
    ).toBeLessThan(1_500)
  })

  it('nor are they where positions of a response are much alike', () => {
    const found = trials({ made: { correlation: 0.8, responseSd: 0.06 } })
    expect(found.filter((trial) => trial.leftFrom !== undefined).length).toBeLessThanOrEqual(2)
  })

  it('of drafts with random weights: all are out before they propose anything', () => {
    expect(leftFrom(trials({ made: { difference: -0.4 } }), 'shadow')).toBe(100)
    const byTraffic = trials({ made: { difference: -0.4 }, traffic: { windows: 0, heldOutShare: 0 } })
    expect(leftFrom(byTraffic, 'shadow') + leftFrom(byTraffic, 'canary')).toBe(100)
    expect(
      quantile(
        byTraffic.map(({ positionsToLeave }) => positionsToLeave),
        1,
      ),
    ).toBeLessThan(300)
  })

  it('of drafts that are worse by .1: all are out by the end of the canary, also without held-out windows', () => {
    for (const traffic of [{}, { windows: 0, heldOutShare: 0 }]) {
      const found = trials({ made: { difference: -0.1 }, traffic })
      expect(leftFrom(found, 'shadow') + leftFrom(found, 'canary')).toBe(100)
    }
  })

  it('of drafts that become worse by .1 in the watch: all are rolled back within two epochs, wherever in one it happens', () => {
    for (const turnsAfterPositions of [0, 1_000, 1_900]) {
      const found = trials({ made: { turnsTo: -0.1 }, turnsAfterPositions, watchedPositions: 8_000 })
      expect(leftFrom(found, 'live') + leftFrom(found, 'confirmed')).toBe(100)
      expect(
        quantile(
          found.map(({ positionsToLeave }) => positionsToLeave),
          1,
        ),
      ).toBeLessThan(4_000)
    }
  })

  it('of good versions with hardly any traffic: few are lost to a point estimate', () => {
    const traffic = { requestsPerSecond: 0.1, heldOutShare: 0.5 }
    const found = trials({ trials: 300, watchedPositions: 1, traffic })
    expect(found.filter((trial) => trial.leftFrom !== undefined).length).toBeLessThanOrEqual(12)
  })

  it('on recorded responses: the same text as good is confirmed, the other one has it rolled back after the turn', () => {
    const recorded = (ours: number, theirs: number): PairedResponse[] =>
      [0, 0.1, 0.2].map((more) => Array.from({ length: 64 }, () => [ours + more, theirs + more]))
    const asGood = recorded(0.5, 0.5)
    const stays = trials({ trials: 20, responses: recordedResponses(asGood), watchedPositions: 16_000 })
    expect(stays.map(({ phase }) => phase)).toEqual(Array.from({ length: 20 }, () => 'confirmed'))
    const responses = recordedResponses(asGood, recorded(0.1, 0.5))
    const turned = trials({ trials: 20, responses, turnsAfterPositions: 1_000 })
    expect(turned.map(({ phase }) => phase)).toEqual(Array.from({ length: 20 }, () => 'rolled-back'))
  })
})
