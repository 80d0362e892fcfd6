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
  readonly trials: number
  /** Thrown out before they were live, and after. */
  readonly rejected: number
  readonly rolledBack: number
  /** Live positions until it was off traffic; from the turn where it turned. NaN: none was. */
  readonly positionsToLeave: { readonly median: number; readonly max: number }
}

export interface SimulatedQuestion {
  readonly name: string
  readonly responses: Responses
  /** It meets others after it was live for a while. */
  readonly turns: boolean
}

/** On made-up responses, by how far the version is off, and how far one turns out to be. */
export function madeUpQuestions(differences: readonly number[], turnsTo: number): SimulatedQuestion[] {
  return [
    ...differences.map((difference) => ({
      name: `made up: ${difference.toFixed(3)}`,
      responses: madeUpResponses({ difference }),
      turns: false,
    })),
    { name: `  turns to ${turnsTo.toFixed(3)}`, responses: madeUpResponses({ turnsTo }), turns: true },
  ]
}

/** On recorded responses; the name says what the version is worth there beside the other one. */
export function recordedQuestion(
  name: string,
  before: readonly PairedResponse[],
  after?: readonly PairedResponse[],
): SimulatedQuestion {
  const difference = mean((after ?? before).flat().map(([ours, theirs]) => ours - theirs))
  return {
    name: `recorded: ${name} ${difference.toFixed(3)}`,
    responses: recordedResponses(before, after),
    turns: after !== undefined,
  }
}

export function simulate(
  { name, responses, turns }: SimulatedQuestion,
  trials: number,
  options: TrialOptions = standardTrial,
): SimulatedFigures {
  const turn = turns ? { turnsAfterPositions: options.watchPositions / 2 } : {}
  const found = simulateTrials({ trials, options, responses, watchedPositions: 6_000, ...turn }, seededRandom(1))
  return { name, ...figuresOf(found) }
}

export function figuresOf(trials: readonly SimulatedTrial[]): Omit<SimulatedFigures, 'name'> {
  const left = trials.map(({ positionsToLeave }) => positionsToLeave).filter((positions) => positions !== undefined)
  return {
    trials: trials.length,
    rejected: trials.filter(({ phase }) => phase === 'rejected').length,
    rolledBack: trials.filter(({ phase }) => phase === 'rolled-back').length,
    positionsToLeave: { median: quantile(left, 0.5), max: quantile(left, 1) },
  }
}
