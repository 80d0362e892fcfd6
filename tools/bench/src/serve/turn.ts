/** One turn of a contestant: so many clients, each asking one question after the other, for so long. */
import { setTimeout as sleep } from 'node:timers/promises'
import { BenchError } from '../bench-error.js'
import { gapFigures, gapsOf } from '../live/token-gaps.js'
import { criticalValue } from '../selection/report/student-t.js'
import { mean, quantile } from '../statistics.js'
import type { Answered, Answering, Question } from './contestants.js'

/** Times are `performance.now()`; what was answered between them counts. */
export interface Turn {
  readonly fromMs: number
  readonly toMs: number
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

/** Clients come one after the other within this share of a turn, which does not count: then they do not go in step. */
const COMING = 0.2

export async function takeTurn(
  answering: Answering,
  questions: readonly Question[],
  { clients, seconds }: { readonly clients: number; readonly seconds: number },
): Promise<Turn> {
  const answers: Answered[] = []
  const waiting = [...questions]
  const startMs = performance.now()
  const [fromMs, toMs] = [startMs + COMING * seconds * 1000, startMs + seconds * 1000]
  const client = async (index: number): Promise<void> => {
    await sleep((COMING * seconds * 1000 * index) / clients)
    while (performance.now() < toMs) {
      const next = waiting.shift()
      if (next === undefined) throw new BenchError(`a turn has more answers than its ${questions.length} questions`)
      answers.push(await answering.ask(next, index))
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, index) => client(index)))
  return { fromMs, toMs, answers }
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

/** Of several turns together. */
export function serveFigures(turns: readonly Turn[]): ServeFigures {
  const seconds = sum(turns, ({ fromMs, toMs }) => (toMs - fromMs) / 1000)
  const began = turns.flatMap((turn) => turn.answers.filter(({ startedMs }) => isWithin(turn, startedMs)))
  const ended = sum(turns, (turn) => turn.answers.filter((one) => isWithin(turn, one.arrivals.at(-1)!.atMs)).length)
  return {
    requestsPerSecond: ended / seconds,
    tokensPerSecond: sum(turns, tokensOf) / seconds,
    firstTokenMs: firstTokenMs(began),
    interTokenMs: interTokenMs(began),
    proposedShare: began.filter(({ drafts }) => drafts > 0).length / began.length,
  }
}

const isWithin = ({ fromMs, toMs }: Turn, atMs: number): boolean => atMs >= fromMs && atMs < toMs

function tokensOf(turn: Turn): number {
  const arrivals = turn.answers.flatMap((answer) => answer.arrivals)
  return sum(arrivals, ({ atMs, tokens }) => (isWithin(turn, atMs) ? tokens : 0))
}

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
