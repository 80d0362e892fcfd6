import { PlateauError } from '@plateau/contracts'
import type { NewRecord, Producer } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import { setTimeout as sleep } from 'node:timers/promises'

const FIRST_WAIT_MS = 50
const LONGEST_WAIT_MS = 5_000

/**
 * Sends until the records are durable: a log that is unavailable is waited for, and the source waits with us. Gives up
 * when `signal` aborts; throws at once what trying again cannot help.
 */
export async function sendPatiently(
  producer: Producer,
  topic: string,
  records: readonly NewRecord[],
  options: { readonly logger: Logger; readonly signal: AbortSignal; readonly onWait?: (() => void) | undefined },
): Promise<void> {
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
    try {
      await producer.send(topic, records)
      return
    } catch (error) {
      if (!(error instanceof PlateauError && error.retryable) || options.signal.aborted) throw error
      options.logger.warn('could not publish, trying again', { topic, records: records.length, waitMs, error })
      options.onWait?.()
      await sleep(waitMs, undefined, { signal: options.signal }).catch(() => {
        throw error
      })
    }
  }
}
