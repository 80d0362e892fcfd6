/** How a version that should not be served fared, and what many of them come to. */
import { RolloutState, type Rollout } from '@plateau/contracts'
import { mean, quantile } from '../statistics.js'

export const outcomePlaces = ['verification', 'shadow', 'canary', 'live', 'not stopped'] as const
export type OutcomePlace = (typeof outcomePlaces)[number]

export interface Outcome {
  readonly version: number
  /** Where it was when it was taken off. */
  readonly place: OutcomePlace
  /** Answers that it proposed for, of those that count (after the turn, where traffic turned). */
  readonly requests: number
  /** From its announcement, or from the turn, until it was off traffic, or until it was given up on. */
  readonly seconds: number
  /** In alpha or acceptance, as the evidence that stopped it says; undefined without any. */
  readonly difference: number | undefined
  /** What was compared there. */
  readonly comparison: string | undefined
  readonly reason: string
}

export interface OutcomeFigures {
  readonly rounds: number
  readonly places: Partial<Record<OutcomePlace, number>>
  readonly medianRequests: number
  readonly maxRequests: number
  readonly medianSeconds: number
  readonly maxSeconds: number
  /** Mean difference by what was compared. */
  readonly differences: Readonly<Record<string, number>>
}

const { ROLLOUT_STATE_SHADOW, ROLLOUT_STATE_CANARY, ROLLOUT_STATE_LIVE, ROLLOUT_STATE_CONFIRMED } = RolloutState
const PLACE_OF: Readonly<Partial<Record<RolloutState, OutcomePlace>>> = {
  [ROLLOUT_STATE_SHADOW]: 'shadow',
  [ROLLOUT_STATE_CANARY]: 'canary',
  [ROLLOUT_STATE_LIVE]: 'live',
  [ROLLOUT_STATE_CONFIRMED]: 'live',
}

/** What a version was when it was taken off, from its records in order; `out`: the one that says that it was. */
export function placeOf(records: readonly Rollout[], out: Rollout | undefined): OutcomePlace {
  if (out === undefined) return 'not stopped'
  const before = records.slice(0, records.indexOf(out))
  return before.map(({ state }) => PLACE_OF[state]).findLast((place) => place !== undefined) ?? 'verification'
}

export function outcomeFigures(outcomes: readonly Outcome[]): OutcomeFigures {
  const places: Partial<Record<OutcomePlace, number>> = {}
  for (const { place } of outcomes) places[place] = (places[place] ?? 0) + 1
  const [requests, seconds] = [outcomes.map((one) => one.requests), outcomes.map((one) => one.seconds)]
  const compared = Map.groupBy(
    outcomes.filter(({ difference }) => difference !== undefined),
    ({ comparison }) => comparison ?? '',
  )
  return {
    rounds: outcomes.length,
    places,
    medianRequests: quantile(requests, 0.5),
    maxRequests: quantile(requests, 1),
    medianSeconds: quantile(seconds, 0.5),
    maxSeconds: quantile(seconds, 1),
    differences: Object.fromEntries(
      [...compared].map(([comparison, some]) => [comparison, mean(some.map(({ difference }) => difference!))]),
    ),
  }
}
