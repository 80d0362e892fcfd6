import { PlateauError } from '@plateau/contracts'
import { untilAborted } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import { setTimeout as sleep } from 'node:timers/promises'

/** Between two attempts at something outside that is full or away. */
export const RETRY_MS = 1000

/**
 * A disk or a log that is full or away is no reason to stop learning: true when it worked, false when it may work
 * later. Throws what trying again cannot help.
 */
export async function worksNow(logger: Logger, failure: string, action: () => Promise<unknown>): Promise<boolean> {
  try {
    await action()
    return true
  } catch (error) {
    if (!mayPass(error)) throw error
    logger.warn(`${failure}, trying again`, { error })
    return false
  }
}

export interface Patience {
  readonly logger: Logger
  readonly signal: AbortSignal
  /** Told at every attempt. */
  readonly beat?: (() => void) | undefined
  /** What is not waited for although it may pass. */
  readonly ends?: (error: unknown) => boolean
}

/** The longest pause between two attempts at what there is nothing to do without. */
const LONGEST_RETRY_MS = 30_000

/**
 * Its outcome, however long that takes: for what there is nothing to do without. Rejects with what trying again cannot
 * help, and with an AbortError when `signal` is aborted.
 */
export async function untilItWorks<T>(
  failure: string,
  action: () => Promise<T>,
  { logger, signal, beat, ends }: Patience,
): Promise<T> {
  for (let pauseMs = RETRY_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_RETRY_MS)) {
    beat?.()
    try {
      return await action()
    } catch (error) {
      if (!mayPass(error) || ends?.(error) === true) throw error
      logger.warn(`${failure}, trying again`, { error })
    }
    await sleep(pauseMs, undefined, { signal })
  }
}

/** Its outcome, or LOG_UNAVAILABLE after so long: the log may hang instead of failing. */
export async function within<T>(ms: number, asked: Promise<T>): Promise<T> {
  const late = new AbortController()
  const noAnswer = new PlateauError('LOG_UNAVAILABLE', `the log has not answered for ${ms} ms`, { retryable: true })
  const timer = setTimeout(() => late.abort(noAnswer), ms)
  try {
    return await untilAborted(asked, late.signal)
  } finally {
    clearTimeout(timer)
  }
}

function mayPass(error: unknown): boolean {
  return error instanceof PlateauError && error.retryable
}
