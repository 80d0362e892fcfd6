import { type CheckpointStore, isStoreMisconfigured } from '@plateau/checkpoints'
import { messageOf, PlateauError } from '@plateau/contracts'
import type { Logger, Metrics } from '@plateau/telemetry'

export interface CheckpointsWatchOptions {
  readonly metrics: Metrics
  readonly logger: Logger
  /** Aborted when nobody wants to know any more. */
  readonly signal: AbortSignal
  /** Milliseconds since 1970. */
  readonly clock: () => number
  /** Told every few seconds while something is asked of the store: it takes its time, but not for ever. */
  readonly onWaiting?: () => void
}

export interface CheckpointsWatch {
  /** The same store, whose every call is counted and timed. */
  readonly store: CheckpointStore
  /** Why the store cannot be used now, by what it said last; undefined when it can. */
  readonly problem: () => string | undefined
}

/** A store that nobody has asked for so long is looked at. */
const LOOK_MS = 15_000
const WAITING_MS = 5000

type Outcome = 'ok' | 'missing' | 'refused' | 'unavailable' | 'denied' | 'given_up'

/** Counts what is asked of a checkpoint store, and knows whether it can be reached, also while nobody asks. */
export function watchCheckpoints(store: CheckpointStore, options: CheckpointsWatchOptions): CheckpointsWatch {
  const { metrics, logger, signal, clock, onWaiting } = options
  const operations = metrics.counter('plateau_checkpoint_store_operations_total')
  const seconds = metrics.histogram('plateau_checkpoint_store_operation_seconds')
  const reachable = metrics.gauge('plateau_checkpoint_store_reachable')
  // Until the first look is over nothing is wrong with it.
  reachable.set({}, 1)
  let problem: string | undefined
  let heardMs = clock()

  const heard = (failure: string | undefined): void => {
    if (failure === undefined && problem !== undefined)
      logger.info('checkpoint store is there again', { store: store.where })
    if (failure !== undefined && problem === undefined)
      logger.warn('checkpoint store cannot be used', { store: store.where, failure })
    problem = failure
    heardMs = clock()
    reachable.set({}, failure === undefined ? 1 : 0)
  }
  const watched = async <T>(operation: string, asked: () => Promise<T>): Promise<T> => {
    const startedMs = clock()
    const waiting = onWaiting === undefined ? undefined : setInterval(onWaiting, WAITING_MS)
    const count = (outcome: Outcome): void => {
      operations.add({ operation, outcome })
      seconds.record({ operation }, (clock() - startedMs) / 1000)
    }
    try {
      const answer = await asked()
      count('ok')
      heard(undefined)
      return answer
    } catch (error) {
      const outcome = outcomeOf(error)
      count(outcome)
      if (outcome !== 'given_up')
        heard(outcome === 'unavailable' || outcome === 'denied' ? messageOf(error) : undefined)
      throw error
    } finally {
      clearInterval(waiting)
    }
  }
  const counted: CheckpointStore = {
    where: store.where,
    put: (...of) => watched('put', () => store.put(...of)),
    read: (...of) => watched('read', () => store.read(...of)),
    versions: (...of) => watched('versions', () => store.versions(...of)),
    remove: (...of) => watched('remove', () => store.remove(...of)),
    putState: (...of) => watched('put_state', () => store.putState(...of)),
    readState: (...of) => watched('read_state', () => store.readState(...of)),
    check: (...of) => watched('check', () => store.check(...of)),
  }
  const look = (): void => void counted.check('read', signal).catch(() => {})
  const timer = setInterval(() => {
    if (clock() - heardMs >= LOOK_MS) look()
  }, LOOK_MS / 3).unref()
  signal.addEventListener('abort', () => clearInterval(timer))
  look()
  return { store: counted, problem: () => problem }
}

function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof PlateauError)) return 'given_up'
  if (isStoreMisconfigured(error)) return 'denied'
  if (error.code === 'CHECKPOINT_NOT_FOUND') return 'missing'
  return error.retryable ? 'unavailable' : 'refused'
}
