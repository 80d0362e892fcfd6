/** More clients than there are places: what is refused, and what is done all the same. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Refused } from '../live/streamed-completion.js'
import type { Answered, Answering, Question } from './contestants.js'
import { firstTokenMs, interTokenMs, type Percentiles } from './turn.js'

export interface CrowdOptions {
  readonly clients: number
  readonly seconds: number
  /** Taken in turn, from the first one again. */
  readonly questions: readonly Question[]
}

export interface Crowd {
  readonly clients: number
  readonly answers: readonly Answered[]
  readonly refusals: readonly Refusal[]
  /** Anything but an answer or a 429: must be none. */
  readonly failures: readonly string[]
  readonly startMs: number
  readonly seconds: number
}

interface Refusal {
  readonly retryAfterSeconds: number | undefined
}

export interface CrowdFigures {
  readonly clients: number
  readonly answers: number
  readonly refused: number
  /** 429 without a Retry-After that can be kept: must be none. */
  readonly withoutRetryAfter: number
  readonly longestRetryAfterSeconds: number
  readonly failures: readonly string[]
  /** Tokens of answers, after the first two seconds. */
  readonly tokensPerSecond: number
  /** Of the tries that were answered, waiting in the queue included. */
  readonly firstTokenMs: Percentiles
  readonly interTokenMs: Percentiles
}

const TOO_MANY_REQUESTS = 429
const BEGINNING_MS = 2000
/** Before another try where nobody said how long. */
const UNTOLD_SECONDS = 1

/** Clients ask for so long, and after a refusal come back when they were told to; answers that were begun are waited for. */
export async function crowd(answering: Answering, { clients, seconds, questions }: CrowdOptions): Promise<Crowd> {
  const answers: Answered[] = []
  const turnedAway = new TurnedAway()
  let sent = 0
  const startMs = performance.now()
  const leftMs = (): number => startMs + 1000 * seconds - performance.now()
  const client = async (index: number): Promise<void> => {
    while (leftMs() > 0) {
      try {
        answers.push(await answering.ask(questions[sent++ % questions.length]!, index))
      } catch (error) {
        const pauseSeconds = turnedAway.add(error)
        await sleep(Math.max(0, Math.min(1000 * pauseSeconds, leftMs())))
      }
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, index) => client(index)))
  const { refusals, failures } = turnedAway
  return { clients, answers, refusals, failures, startMs, seconds }
}

/** Requests that got no answer. */
export class TurnedAway {
  readonly refusals: Refusal[] = []
  readonly failures: string[] = []

  /** Returns after how many seconds to try again. */
  add(error: unknown): number {
    if (error instanceof Refused && error.status === TOO_MANY_REQUESTS) {
      const { retryAfterSeconds } = error
      this.refusals.push({ retryAfterSeconds })
      return retryAfterSeconds !== undefined && retryAfterSeconds > 0 ? retryAfterSeconds : UNTOLD_SECONDS
    }
    this.failures.push(String(error))
    return UNTOLD_SECONDS
  }
}

export function crowdFigures({ clients, answers, refusals, failures, startMs, seconds }: Crowd): CrowdFigures {
  const [fromMs, toMs] = [startMs + BEGINNING_MS, startMs + 1000 * seconds]
  const tokens = answers
    .flatMap(({ arrivals }) => arrivals)
    .filter(({ atMs }) => atMs >= fromMs && atMs < toMs)
    .reduce((sum, arrival) => sum + arrival.tokens, 0)
  const said = refusals.map(({ retryAfterSeconds }) => retryAfterSeconds ?? Number.NaN)
  return {
    clients,
    answers: answers.length,
    refused: refusals.length,
    withoutRetryAfter: said.filter((pause) => !(pause > 0)).length,
    longestRetryAfterSeconds: Math.max(0, ...said.filter((pause) => pause > 0)),
    failures: failures.slice(0, 5),
    tokensPerSecond: (1000 * tokens) / (toMs - fromMs),
    firstTokenMs: firstTokenMs(answers),
    interTokenMs: interTokenMs(answers),
  }
}
