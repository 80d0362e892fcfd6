import { decodeHeaders, DraftCheckpoint, topics } from '@plateau/contracts'
import type { LogRecord } from '@plateau/event-log'

export interface Announcement {
  readonly checkpoint: DraftCheckpoint
  /** Milliseconds since 1970. */
  readonly arrivedMs: number
  /** Of the span that published it. */
  readonly traceparent: string | undefined
}

/** A record of the checkpoints topic; undefined for one without a value. Throws TypeError saying what is wrong with it. */
export function decodeAnnouncement(record: LogRecord, arrivedMs: number): Announcement | undefined {
  if (record.value === null) return undefined
  const headers = decodeHeaders(record.headers)
  if (headers?.type !== topics.draftCheckpoints.messageType) {
    throw new TypeError(`its headers do not say that it is a ${topics.draftCheckpoints.messageType}`)
  }
  const checkpoint = DraftCheckpoint.decode(record.value)
  if (checkpoint.schemaVersion !== 1) throw new TypeError(`it has schema version ${checkpoint.schemaVersion}`)
  if (checkpoint.lineage !== record.key) {
    throw new TypeError(
      `it is of lineage ${JSON.stringify(checkpoint.lineage)}, its key is ${JSON.stringify(record.key)}`,
    )
  }
  return { checkpoint, arrivedMs, traceparent: headers.traceparent }
}
