import type { Health } from './health.js'

/** A log that is away for this long is said so; it may well come back. */
const NOT_READY_MS = 15_000
/** Silent for this long, the loop is stuck: only a new process helps. A log that is away gives up, and says why, before. */
const STUCK_MS = 360_000

export interface ConsumerHealth {
  /** For `ConsumerOptions.onAlive`. */
  readonly onAlive: () => void
  /** The consumer has ended on purpose. */
  done(): void
}

/** Liveness of a consumer by its progress, and readiness by whether the log still answers it. */
export function watchConsumer(health: Health, clock: () => number): ConsumerHealth {
  const progress = health.progress('consumer', STUCK_MS)
  let heardMs: number | undefined = clock()
  health.ready('event log', () => {
    const silentMs = heardMs === undefined ? 0 : clock() - heardMs
    return silentMs > NOT_READY_MS ? `has not answered for ${Math.round(silentMs / 1000)} s` : undefined
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
