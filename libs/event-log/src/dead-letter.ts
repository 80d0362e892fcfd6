import { messageOf, PlateauError } from '@plateau/contracts'
import type { LogRecord, NewRecord } from './event-log.js'

/** Headers travel in every copy of the record: a message that quotes its input must not fill them. */
const MAX_MESSAGE_CHARACTERS = 1024

/**
 * The record as it goes to the dead letter topic of `group` (deadLetterTopic in contracts): key, value and its own
 * headers untouched, so that it can be sent again once the cause is gone, and beside them where it was and why it failed.
 */
export function deadLetterRecord(record: LogRecord, group: string, error: unknown, nowMs: number): NewRecord {
  return {
    key: record.key,
    value: record.value,
    headers: {
      ...record.headers,
      'x-dlq-original-topic': record.topic,
      'x-dlq-original-partition': String(record.partition),
      'x-dlq-original-offset': String(record.offset),
      'x-dlq-original-timestamp': String(record.timestampMs),
      'x-dlq-group': group,
      'x-dlq-error-class': classOf(error),
      'x-dlq-error-message': messageOf(error).slice(0, MAX_MESSAGE_CHARACTERS),
      // A record that was replayed brings its count along.
      'x-dlq-attempts': String(attemptsOf(record) + 1),
      'x-dlq-failed-at': new Date(nowMs).toISOString(),
    },
  }
}

function attemptsOf({ headers }: LogRecord): number {
  const attempts = Number(headers['x-dlq-attempts'])
  return Number.isSafeInteger(attempts) && attempts > 0 ? attempts : 0
}

/** What an operator can group by: our own code where there is one. */
function classOf(error: unknown): string {
  if (error instanceof PlateauError) return error.code
  return error instanceof Error ? error.name : typeof error
}
