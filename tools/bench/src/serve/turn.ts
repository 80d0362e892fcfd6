/** One turn of a contestant: so many clients, each asking one question after the other until all are answered. */
import { gapFigures, gapsOf } from '../live/token-gaps.js'
import { criticalValue } from '../selection/report/student-t.js'
import { mean, quantile } from '../statistics.js'
import type { Answered, Answering, Question } from './contestants.js'

/** Times are `performance.now()`. */
export interface Turn {
  readonly startMs: number
  /** Every client had a question until then. Afterwards there are fewer and fewer, and most where answers differ most in time. */
  readonly busyUntilMs: number
  readonly answers: readonly Answered[]
}

export interface ServeFigures {
  readonly requestsPerSecond: number
  readonly tokensPerSecond: number
  readonly firstTokenMs: Percentiles
  readonly interTokenMs: Percentiles
  /** Share of the answers that had a proposal. */
  readonly proposedShare: number
}

export interface Percentiles {
  readonly p50: number
  readonly p99: number
}

export async function takeTurn(answering: Answering, questions: readonly Question[], clients: number): Promise<Turn> {
  const answers: Answered[] = []
  const waiting = [...questions]
  const startMs = performance.now()
  let busyUntilMs = Infinity
  const client = async (index: number): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      answers.push(await answering.ask(next, index))
    busyUntilMs = Math.min(busyUntilMs, performance.now())
  }
  await Promise.all(Array.from({ length: clients }, (_, index) => client(index)))
  return { startMs, busyUntilMs, answers }
}

/** Tokens a second of one contestant over another's, with an interval of 95 %. */
export interface RoundRatio {
  readonly ratio: number
  readonly low: number
  readonly high: number
}

/** By rounds in which both had a turn: the geometric mean, and Student's t; without an interval (NaN) for one round. */
export function overRounds(ours: readonly Turn[], theirs: readonly Turn[]): RoundRatio {
  const logs = ours.map((turn, i) => Math.log(tokensPerSecond([turn]) / tokensPerSecond([theirs[i]!])))
  const centre = mean(logs)
  const variance = logs.reduce((sum, log) => sum + (log - centre) ** 2, 0) / (logs.length - 1)
  const half = (logs.length > 1 ? criticalValue(0.05, logs.length - 1) : Number.NaN) * Math.sqrt(variance / logs.length)
  return { ratio: Math.exp(centre), low: Math.exp(centre - half), high: Math.exp(centre + half) }
}

function tokensPerSecond(turns: readonly Turn[]): number {
  return serveFigures(turns).tokensPerSecond
}

/** Of several turns together; rates of the time in which every client had a question. */
export function serveFigures(turns: readonly Turn[]): ServeFigures {
  const seconds = sum(turns, ({ startMs, busyUntilMs }) => (busyUntilMs - startMs) / 1000)
  const answers = turns.flatMap((turn) => turn.answers)
  const tokens = sum(turns, (turn) => sum(arrivedIn(turn), (arrival) => arrival.tokens))
  const ended = sum(turns, ({ answers, busyUntilMs }) => answers.filter((one) => endOf(one) <= busyUntilMs).length)
  return {
    requestsPerSecond: ended / seconds,
    tokensPerSecond: tokens / seconds,
    firstTokenMs: firstTokenMs(answers),
    interTokenMs: interTokenMs(answers),
    proposedShare: answers.filter(({ drafts }) => drafts > 0).length / answers.length,
  }
}

function arrivedIn({ answers, busyUntilMs }: Turn) {
  return answers.flatMap(({ arrivals }) => arrivals.filter(({ atMs }) => atMs <= busyUntilMs))
}

const endOf = ({ arrivals }: Answered): number => arrivals.at(-1)!.atMs

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}

export function firstTokenMs(answers: readonly Answered[]): Percentiles {
  const waits = answers.map(({ startedMs, arrivals }) => arrivals[0]!.atMs - startedMs)
  return { p50: quantile(waits, 0.5), p99: quantile(waits, 0.99) }
}

export function interTokenMs(answers: readonly Answered[]): Percentiles {
  const { p50Ms, p99Ms } = gapFigures(answers.flatMap(({ arrivals }) => gapsOf(arrivals)))
  return { p50: p50Ms, p99: p99Ms }
}
