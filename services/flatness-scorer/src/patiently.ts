import { PlateauError } from '@plateau/contracts'
import { untilAborted } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import { setTimeout as sleep } from 'node:timers/promises'

const FIRST_WAIT_MS = 50
const LONGEST_WAIT_MS = 5_000

export interface Patience {
  readonly logger: Logger
  /** Ends the trying. */
  readonly signal: AbortSignal
  /** Ends the waiting for an answer, too. */
  readonly giveUp: AbortSignal
  readonly onWait?: (() => void) | undefined
}

/**
 * Asks the log for something until it gives it: a log that is unavailable is waited for, and the source waits with us.
 * Gives up when the signal aborts; throws at once what trying again cannot help.
 */
export async function patiently<T>(what: string, action: () => Promise<T>, options: Patience): Promise<T> {
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
    try {
      return await untilAborted(action(), options.giveUp)
    } catch (error) {
      if (!(error instanceof PlateauError && error.retryable) || options.signal.aborted) throw error
      options.logger.warn(`could not ${what}, trying again`, { waitMs, error })
      options.onWait?.()
      await sleep(waitMs, undefined, { signal: options.signal }).catch(() => {
        throw error
      })
    }
  }
}
