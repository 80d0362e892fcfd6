import { setTimeout as sleep } from 'node:timers/promises'
import type { PlateauError } from '@plateau/contracts'
import type { KafkaTiming } from './options.js'

/** Tries until it works, as long as trying again can help, for `patienceMs` at most. */
export async function persist<T>(
  action: () => Promise<T>,
  asError: (thrown: unknown) => PlateauError,
  timing: Pick<KafkaTiming, 'patienceMs' | 'retryMs' | 'maxRetryMs'>,
): Promise<T> {
  // Not the wall clock: it may be set while we wait.
  const giveUpAtMs = performance.now() + timing.patienceMs
  for (let attempt = 0; ; attempt++) {
    try {
      return await action()
    } catch (thrown) {
      const error = asError(thrown)
      if (!error.retryable || performance.now() >= giveUpAtMs) throw error
      await sleep(pauseMs(attempt, timing))
    }
  }
}

/** From `retryMs`, half as much again each time, to `maxRetryMs`. */
export function pauseMs(attempt: number, timing: Pick<KafkaTiming, 'retryMs' | 'maxRetryMs'>): number {
  return Math.min(timing.retryMs * 1.5 ** attempt, timing.maxRetryMs)
}
