import { PlateauError } from '@plateau/contracts'
import { untilAborted } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'

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
    if (!(error instanceof PlateauError && error.retryable)) throw error
    logger.warn(`${failure}, trying again`, { error })
    return false
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
