/**
 * How many threads a model's steps are worth. A step of a small model ends sooner than many threads can be woken for each
 * of its matrices, and a large one is limited by memory that a few threads read as fast as all: so it is measured, with
 * the model itself.
 */
import { availableParallelism } from 'node:os'
import type { InferenceSession } from './session.js'
import { threadCounts } from './thread-counts.js'

export interface ThreadMeasurement {
  /** The most to try. Default: as many as the machine runs at once. */
  readonly threads?: number
  /** Time to spend running steps, loading not counted. Default 1000. */
  readonly budgetMs?: number
  /** Milliseconds, rising. */
  readonly clock?: () => number
}

export interface MeasuredThreads {
  readonly threads: number
  /** Loaded with that many. */
  readonly session: InferenceSession
  /** Fastest step by number of threads, in microseconds. */
  readonly stepUs: ReadonlyMap<number, number>
}

/** Twice the threads must save so much of a step; else they are better left to others. */
const worthwhile = 0.85
const stepsPerTurn = 4

/**
 * @param step runs one step and says how long it took, in microseconds
 *
 * Loads the model with 1, 2, 4 .. threads as long as that pays. Two neighbours take turns, so that whatever else the
 * machine does hits both, and their fastest steps are compared.
 */
export async function measureThreads(
  load: (threads: number) => Promise<InferenceSession>,
  step: (session: InferenceSession) => Promise<number>,
  measurement: ThreadMeasurement = {},
): Promise<MeasuredThreads> {
  const { clock = () => performance.now(), budgetMs = 1000 } = measurement
  const counts = threadCounts(measurement.threads ?? availableParallelism())
  const stepUs = new Map<number, number>()
  let best = { threads: counts[0]!, session: await load(counts[0]!) }
  for (const threads of counts.slice(1)) {
    const next = { threads, session: await load(threads) }
    const [few, many] = await fastestOf(
      [best.session, next.session],
      step,
      clock() + budgetMs / (counts.length - 1),
      clock,
    )
    stepUs.set(best.threads, Math.min(few!, stepUs.get(best.threads) ?? Infinity)).set(threads, many!)
    const pays = many! < few! * worthwhile
    await (pays ? best : next).session.release()
    if (!pays) break
    best = next
  }
  return { ...best, stepUs }
}

async function fastestOf(
  sessions: readonly InferenceSession[],
  step: (session: InferenceSession) => Promise<number>,
  deadlineMs: number,
  clock: () => number,
): Promise<number[]> {
  const fastest = sessions.map(() => Infinity)
  do {
    for (const [i, session] of sessions.entries()) {
      for (let n = 0; n < stepsPerTurn; n++) fastest[i] = Math.min(fastest[i]!, await step(session))
    }
  } while (clock() < deadlineMs)
  return fastest
}
