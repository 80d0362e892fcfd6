import { decodeHeaders, DraftCheckpoint, messageOf, PlateauError, topics } from '@plateau/contracts'
import type { LogRecord } from '@plateau/event-log'

export interface Announcement {
  readonly checkpoint: DraftCheckpoint
  /** Milliseconds since 1970. */
  readonly arrivedMs: number
  /** Of the span that published it. */
  readonly traceparent: string | undefined
}

/** A record of the checkpoints topic; undefined for one without a value. Throws PlateauError ANNOUNCEMENT_INVALID. */
export function decodeAnnouncement(record: LogRecord, arrivedMs: number): Announcement | undefined {
  if (record.value === null) return undefined
  const headers = decodeHeaders(record.headers)
  if (headers?.type !== topics.draftCheckpoints.messageType) {
    throw invalid(`its headers do not say that it is a ${topics.draftCheckpoints.messageType}`)
  }
  const checkpoint = decode(record.value)
  if (checkpoint.schemaVersion !== 1) throw invalid(`it has schema version ${checkpoint.schemaVersion}`)
  if (checkpoint.lineage !== record.key) {
    throw invalid(`it is of lineage ${JSON.stringify(checkpoint.lineage)}, its key is ${JSON.stringify(record.key)}`)
  }
  return { checkpoint, arrivedMs, traceparent: headers.traceparent }
}

function decode(value: Uint8Array): DraftCheckpoint {
  try {
    return DraftCheckpoint.decode(value)
  } catch (cause) {
    throw invalid(`it is not a DraftCheckpoint: ${messageOf(cause)}`, cause)
  }
}

function invalid(problem: string, cause?: unknown): PlateauError {
  return new PlateauError('ANNOUNCEMENT_INVALID', problem, { cause })
}
