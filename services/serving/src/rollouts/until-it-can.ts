import { PlateauError } from '@plateau/contracts'
import { setTimeout as sleep } from 'node:timers/promises'

/** What `task` returns, tried again after `pauseMs` for as long as its failure may pass. Rejects with one that stays, and when aborted. */
export async function untilItCan<T>(task: () => Promise<T>, pauseMs: number, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await task()
    } catch (error) {
      if (signal.aborted || !(error instanceof PlateauError && error.retryable)) throw error
      await sleep(pauseMs, undefined, { signal })
    }
  }
}
