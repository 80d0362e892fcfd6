import { type ErrorFacts, messageOf, PlateauError } from '@plateau/contracts'
import type { Fence } from './topic-store.js'

// SQLite's primary result codes (sqlite.org/rescode.html) that mean something different to the person on call.
const BUSY = 5
const LOCKED = 6
const READONLY = 8
const IO_ERROR = 10
const CORRUPT = 11
const FULL = 13
const CANNOT_OPEN = 14
const NOT_A_DATABASE = 26

/** Another process holds the lock: waiting helps. */
export function isBusy(thrown: unknown): boolean {
  const code = sqliteCode(thrown)
  return code === BUSY || code === LOCKED
}

/** What the caller gets to see of a failure of the files below the log. */
export function asLogError(thrown: unknown, path: string): unknown {
  if (thrown instanceof PlateauError) return thrown
  const facts: ErrorFacts = { path, reason: messageOf(thrown) }
  const make = (code: string, sentence: string, retryable: boolean) =>
    new PlateauError(code, `${sentence} (${path}: ${messageOf(thrown)})`, { facts, retryable, cause: thrown })
  switch (sqliteCode(thrown)) {
    case undefined:
      return isSystemError(thrown) ? make('LOG_UNAVAILABLE', 'The event log cannot use its files.', false) : thrown
    case BUSY:
    case LOCKED:
      return make('LOG_UNAVAILABLE', 'Another process kept the event log locked for too long.', true)
    case FULL:
      return make('LOG_FULL', 'The event log is full: free disk space or lower the retention.', true)
    case READONLY:
    case CANNOT_OPEN:
      return make('LOG_UNAVAILABLE', 'The event log cannot be written: check the permissions.', false)
    case CORRUPT:
    case NOT_A_DATABASE:
      return make('LOG_UNAVAILABLE', 'A file of the event log is damaged: restore or remove it.', false)
    case IO_ERROR:
      return make('LOG_UNAVAILABLE', 'The disk below the event log failed.', true)
    default:
      return make('LOG_UNAVAILABLE', 'The event log could not carry out an operation.', false)
  }
}

export function fencedError({ name, epoch }: Fence, topic?: string): PlateauError {
  return new PlateauError(
    'WRITER_FENCED',
    `Another process is the writer of ${name} by now: what this one, with epoch ${epoch}, still had to write was refused.`,
    { facts: { lease: name, epoch, topic } },
  )
}

function sqliteCode(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('errcode' in thrown) || typeof thrown.errcode !== 'number') return undefined
  return thrown.errcode & 0xff
}

function isSystemError(thrown: unknown): boolean {
  return thrown instanceof Error && 'syscall' in thrown
}
