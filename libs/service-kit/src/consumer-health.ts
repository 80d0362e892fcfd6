import type { Health } from './health.js'

/** A log that is away for this long is said so; it may well come back. */
const NOT_READY_MS = 15_000
/** Silent for this much longer than a log that is away is waited for, the loop is stuck: only a new process helps. */
const STUCK_AFTER_MS = 60_000

export interface ConsumerHealth {
  /** For `ConsumerOptions.onAlive`. */
  readonly onAlive: () => void
  /** The consumer has ended on purpose. */
  done(): void
}

/**
 * Liveness of a consumer by its progress, and readiness by whether the log still answers it. `patienceMs`: how long it
 * waits for a log that is away; then it gives up by itself, and says why.
 */
export function watchConsumer(health: Health, clock: () => number, patienceMs: number): ConsumerHealth {
  const progress = health.progress('consumer', patienceMs + STUCK_AFTER_MS)
  const notReadyMs = Math.min(NOT_READY_MS, patienceMs / 2)
  let heardMs: number | undefined = clock()
  health.ready('event log', () => {
    const silentMs = heardMs === undefined ? 0 : clock() - heardMs
    return silentMs > notReadyMs ? `has not answered for ${Math.round(silentMs / 1000)} s` : undefined
  })
  return {
    onAlive: () => {
      heardMs = clock()
      progress.beat()
    },
    done: () => {
      heardMs = undefined
      progress.done()
    },
  }
}
