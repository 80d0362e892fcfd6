/** The same questions to the roll-out's rules alone: far more versions than services could serve. */
import {
  madeUpResponses,
  recordedResponses,
  simulateTrials,
  standardTrial,
  type PairedResponse,
  type Responses,
  type SimulatedTrial,
  type TrialOptions,
} from '@plateau/rollout'
import { seededRandom } from '@plateau/speculation'
import { mean, quantile } from '../statistics.js'

export interface SimulatedFigures {
  readonly name: string
  readonly difference: number
  readonly trials: number
  /** Thrown out before they were live, and after. */
  readonly rejected: number
  readonly rolledBack: number
  /** Live positions until it was off traffic; from the turn where it turned. NaN: none was. */
  readonly positionsToLeave: { readonly median: number; readonly max: number }
}

export interface SimulatedQuestion {
  readonly name: string
  /** Mean alpha of the version minus that of the other one; where it turns, from then on. */
  readonly difference: number
  readonly responses: Responses
  /** It meets others after it was live for a while. */
  readonly turns: boolean
}

/** On made-up responses, by how far the version is off, and how far one turns out to be. */
export function madeUpQuestions(differences: readonly number[], turnsTo: number): SimulatedQuestion[] {
  return [
    ...differences.map((difference) => ({
      name: 'made up',
      difference,
      responses: madeUpResponses({ difference }),
      turns: false,
    })),
    { name: 'made up, turning', difference: turnsTo, responses: madeUpResponses({ turnsTo }), turns: true },
  ]
}

/** On recorded responses, at least one of each. */
export function recordedQuestion(
  name: string,
  before: readonly PairedResponse[],
  after?: readonly PairedResponse[],
): SimulatedQuestion {
  const difference = mean((after ?? before).flat().map(([ours, theirs]) => ours - theirs))
  return { name, difference, responses: recordedResponses(before, after), turns: after !== undefined }
}

export function simulate(
  { name, difference, responses, turns }: SimulatedQuestion,
  trials: number,
  options: TrialOptions = standardTrial,
): SimulatedFigures {
  const turn = turns ? { turnsAfterPositions: options.watchPositions / 2 } : {}
  const found = simulateTrials({ trials, options, responses, watchedPositions: 6_000, ...turn }, seededRandom(1))
  return { name, difference, ...figuresOf(found) }
}

export function figuresOf(trials: readonly SimulatedTrial[]): Omit<SimulatedFigures, 'name' | 'difference'> {
  const left = trials.map(({ positionsToLeave }) => positionsToLeave).filter((positions) => positions !== undefined)
  return {
    trials: trials.length,
    rejected: trials.filter(({ phase }) => phase === 'rejected').length,
    rolledBack: trials.filter(({ phase }) => phase === 'rolled-back').length,
    positionsToLeave: { median: quantile(left, 0.5), max: quantile(left, 1) },
  }
}
