import type { Headers } from '@plateau/contracts'
import type { LogRecord, NewRecord } from '@plateau/event-log'
import { PlateauError } from '@plateau/contracts'
import type { DeadLetterTopic } from './dead-letter-topics.js'

/** What the x-dlq-* headers say; a part that is missing or malformed is undefined. */
export interface DeadLetter {
  readonly record: LogRecord
  readonly errorClass: string
  readonly errorMessage: string | undefined
  readonly group: string | undefined
  /** How often it has failed, replays included. */
  readonly attempts: number
  readonly failedAtMs: number
  readonly origin: {
    readonly topic: string | undefined
    readonly partition: number | undefined
    readonly offset: number | undefined
    readonly timestampMs: number | undefined
  }
  /** The record's own headers, without what the dead letter added. */
  readonly ownHeaders: Headers
}

const PREFIX = 'x-dlq-'
/** Stays on a record through replays, so that the next failure can count on. */
const ATTEMPTS = 'x-dlq-attempts'
const REPLAYED_AT = 'x-dlq-replayed-at'

export function readDeadLetter(record: LogRecord): DeadLetter {
  const { headers } = record
  return {
    record,
    errorClass: headers['x-dlq-error-class'] ?? 'unknown',
    errorMessage: headers['x-dlq-error-message'],
    group: headers['x-dlq-group'],
    // A first failure need not say that it is one.
    attempts: number(headers[ATTEMPTS]) ?? 1,
    failedAtMs: instant(headers['x-dlq-failed-at']) ?? record.timestampMs,
    origin: {
      topic: headers['x-dlq-original-topic'],
      partition: number(headers['x-dlq-original-partition']),
      offset: number(headers['x-dlq-original-offset']),
      timestampMs: number(headers['x-dlq-original-timestamp']),
    },
    ownHeaders: Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(PREFIX))),
  }
}

/**
 * The record as it goes back to where it came from: key, value and its own headers, so the same ce_id, and what it has
 * been through. Its time is now: retention would remove it at once if it kept one of days ago (ce_time still tells).
 * Throws REPLAY_REFUSED when it does not come from the topic that this dead letter topic belongs to.
 */
export function recordToReplay(letter: DeadLetter, topic: DeadLetterTopic, nowMs: number): NewRecord {
  if (letter.origin.topic !== topic.source.name) {
    const claim = letter.origin.topic === undefined ? 'does not say' : `says ${letter.origin.topic}`
    throw new PlateauError('REPLAY_REFUSED', `x-dlq-original-topic ${claim}, expected ${topic.source.name}`)
  }
  return {
    key: letter.record.key,
    value: letter.record.value,
    headers: {
      ...letter.ownHeaders,
      [ATTEMPTS]: String(letter.attempts),
      [REPLAYED_AT]: new Date(nowMs).toISOString(),
    },
    timestampMs: nowMs,
  }
}

function number(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

function instant(text: string | undefined): number | undefined {
  const ms = Date.parse(text ?? '')
  return Number.isNaN(ms) ? undefined : ms
}
