import { PlateauError } from '@plateau/contracts'
import type { EventLog, LogRecord, Reader } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import { setTimeout as sleep } from 'node:timers/promises'

export interface FollowOptions {
  readonly eventLog: EventLog
  readonly topic: string
  /** After a break the reader begins here again: what is known is passed over by whoever reads. */
  readonly from: 'earliest' | 'latest'
  /** Records of one partition, in order. */
  readonly onRecords: (records: readonly LogRecord[]) => void
  /** Everything that was there when the reader was opened has been seen; told again after a break. */
  readonly onCaughtUp?: () => void
  readonly logger: Logger
  readonly signal: AbortSignal
}

/** Between two tries at a log that cannot be read. */
const REOPEN_MS = 1000

/**
 * Reads a topic until `signal` aborts, outside any group, and again where the log was away. Rejects when it cannot be
 * read, and trying again cannot help.
 */
export async function followTopic(options: FollowOptions): Promise<void> {
  const { topic, logger, signal } = options
  while (!signal.aborted) {
    try {
      await follow(options)
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof PlateauError && error.retryable)) throw error
      logger.warn('topic cannot be read, trying again', { topic, error })
      await sleep(REOPEN_MS, undefined, { signal }).catch(() => {})
    }
  }
}

async function follow({ eventLog, topic, from, onRecords, onCaughtUp, signal }: FollowOptions): Promise<void> {
  const reader: Reader = eventLog.reader({ topic, from })
  const stop = (): void => void reader.close()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  // A reader that breaks says so where its records are read.
  reader.caughtUp.then(
    () => signal.aborted || onCaughtUp?.(),
    () => {},
  )
  try {
    for await (const { records } of reader) onRecords(records)
  } finally {
    signal.removeEventListener('abort', stop)
    await reader.close()
  }
}
