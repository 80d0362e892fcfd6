import { PlateauError, topics } from '@plateau/contracts'
import type { EventLog, Lease } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import type { TrainerMetrics } from './metrics.js'

/** As the writer's loop is known from outside. */
export interface Term {
  /** Resolves after `close`; rejects when the loop cannot go on. */
  run(): Promise<void>
  close(): Promise<void>
}

export interface WriterTermsParts {
  readonly log: EventLog
  readonly lineage: string
  readonly sessionTimeoutMs: number
  readonly logger: Logger
  readonly metrics: Pick<TrainerMetrics, 'role' | 'epoch'>
  /** Resolves once there is what a writer cannot do without; rejects when there never will be. */
  readonly usable: () => Promise<void>
  /** Begins to write, from what the writer before has left. */
  readonly open: (lease: Lease) => Promise<Term>
}

/** Of others, whom the lineage's writer listens to. */
export const toldTopics = [topics.forgottenTenants, topics.rollouts, topics.rolloutOrders] as const

/** What only the lineage's writer writes. */
export const lineageTopics = [topics.draftCheckpoints, topics.selectionPolicy] as const

/**
 *  standing by ──lease──▶ writer ──fenced──▶ standing by
 *       └───────stop─────────┴───────stop──▶ (resolves)
 *
 * A writer that lost its lease stands by again in the same process, with nothing kept of its term: whoever took over has
 * all that counted, from the store and the log, and after a stop of the broker that both of them saw there may be nobody
 * else. Anything else that ends a term ends the process; so does a state that this log's epochs cannot have written.
 */
export async function serveTerms(parts: WriterTermsParts, signal: AbortSignal): Promise<void> {
  const { lineage, logger } = parts
  let latestSeen = 0
  while (!signal.aborted) {
    show(parts, 'standby')
    logger.info('standing by', { lineage })
    // Also where we only stand by: what is wrong is found out now, not in the hour of need.
    await parts.usable()
    const lease = await untilWriter(parts, signal)
    if (lease === undefined) return
    try {
      logger.info('writer of the lineage', { lineage, epoch: lease.epoch })
      show(parts, 'writer')
      parts.metrics.epoch.set({}, lease.epoch)
      if (lease.epoch <= latestSeen) throw stateOfAnotherLog(lineage, lease.epoch, latestSeen)
      await serveTerm(parts, lease, signal)
    } catch (error) {
      if (signal.aborted && isAbort(error)) return
      if (!lease.lost.aborted && !isFenced(error)) throw error
      latestSeen = Math.max(latestSeen, latestEpochOf(error))
      logger.warn('another trainer is the writer now', { lineage, epoch: lease.epoch, error })
    } finally {
      // With the log away it cannot be given back: it runs out, and the next one waits for that.
      await lease.release().catch((error: unknown) => logger.warn('lease not given back', { lineage, error }))
    }
  }
}

/** Undefined when there is no more need. */
async function untilWriter(parts: WriterTermsParts, signal: AbortSignal): Promise<Lease | undefined> {
  const { log, lineage, sessionTimeoutMs } = parts
  try {
    const names = lineageTopics.map(({ name }) => name)
    return await log.lease({ name: `lineage.${lineage}`, topics: names, sessionTimeoutMs, signal })
  } catch (error) {
    if (signal.aborted) return undefined
    throw error
  }
}

async function serveTerm({ open }: WriterTermsParts, lease: Lease, signal: AbortSignal): Promise<void> {
  const term = await open(lease)
  const onStop = (): void => void term.close()
  signal.addEventListener('abort', onStop)
  try {
    if (signal.aborted) return await term.close()
    await term.run()
  } finally {
    signal.removeEventListener('abort', onStop)
  }
}

function show({ metrics }: WriterTermsParts, role: 'standby' | 'writer'): void {
  metrics.role.set({ role: 'standby' }, role === 'standby' ? 1 : 0)
  metrics.role.set({ role: 'writer' }, role === 'writer' ? 1 : 0)
}

/** Of somebody who waited for something when they were told to stop. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}

function isFenced(error: unknown): boolean {
  return error instanceof PlateauError && (error.code === 'WRITER_FENCED' || error.code === 'STATE_FENCED')
}

/** Of the state that another writer has saved; 0 when the error knows of none. */
function latestEpochOf(error: unknown): number {
  const isState = error instanceof PlateauError && error.code === 'STATE_FENCED'
  return isState ? Number(error.facts['latest']) : 0
}

/** Epochs grow for as long as a log lives: a lease that was taken after that state was saved there would have a later one. */
function stateOfAnotherLog(lineage: string, epoch: number, saved: number): PlateauError {
  return new PlateauError(
    'TRAINER_STATE_MISMATCH',
    `the saved state of lineage ${lineage} belongs to another event log (its writer had epoch ${saved}, this log is at ` +
      `${epoch}): set PLATEAU_LINEAGE to a new name, or PLATEAU_EVENT_LOG to the log it was trained from`,
    { facts: { lineage, epoch, saved } },
  )
}
