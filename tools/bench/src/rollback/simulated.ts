/** The same questions to the roll-out's rules alone, on made-up traffic: far more versions than services could serve. */
import { simulateTrials, standardTrial, type SimulatedTrial, type TrialOptions } from '@plateau/rollout'
import { seededRandom } from '@plateau/speculation'
import { quantile } from '../statistics.js'

export interface SimulatedFigures {
  readonly difference: number
  readonly turns: boolean
  readonly trials: number
  /** Thrown out before they were live, and after. */
  readonly rejected: number
  readonly rolledBack: number
  /** Live positions until it was off traffic; from the turn where it turned. NaN: none was. */
  readonly positionsToLeave: { readonly median: number; readonly max: number }
}

export interface SimulatedQuestion {
  readonly difference: number
  /** It is as good first, and different by so much after it was live for a while. */
  readonly turns: boolean
}

export function simulate(
  { difference, turns }: SimulatedQuestion,
  trials: number,
  options: TrialOptions = standardTrial,
): SimulatedFigures {
  const turn = turns ? { turnsTo: difference, turnsAfterPositions: options.watchPositions / 2 } : {}
  const found = simulateTrials(
    { trials, options, difference: turns ? 0 : difference, watchedPositions: 6_000, ...turn },
    seededRandom(1),
  )
  return { difference, turns, ...figuresOf(found) }
}

export function figuresOf(trials: readonly SimulatedTrial[]): Omit<SimulatedFigures, 'difference' | 'turns'> {
  const left = trials.map(({ positionsToLeave }) => positionsToLeave).filter((positions) => positions !== undefined)
  return {
    trials: trials.length,
    rejected: trials.filter(({ phase }) => phase === 'rejected').length,
    rolledBack: trials.filter(({ phase }) => phase === 'rolled-back').length,
    positionsToLeave: { median: quantile(left, 0.5), max: quantile(left, 1) },
  }
}
