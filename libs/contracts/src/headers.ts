/** Record headers: CloudEvents 1.0, Kafka binding, binary mode, plus the W3C trace context. */
export type Headers = Readonly<Record<string, string>>

export interface EventHeaders {
  /** Unique per fact, the same on every redelivery: consumers deduplicate by it. */
  readonly id: string
  /** Who produced it, for example "/plateau/target-model". */
  readonly source: string
  /** Full name of the Protobuf message. */
  readonly type: string
  readonly timeMs: number
  /** What the fact is about: the record's key. Absent in records of before 0.2. */
  readonly subject?: string | undefined
  /** W3C traceparent of the span that produced the record. */
  readonly traceparent?: string | undefined
}

export function encodeHeaders(event: EventHeaders): Headers {
  return {
    ce_specversion: '1.0',
    ce_id: event.id,
    ce_source: event.source,
    ce_type: `${event.type}.v1`,
    ce_time: new Date(event.timeMs).toISOString(),
    'content-type': 'application/protobuf',
    'x-proto-message': event.type,
    ce_dataschema: dataSchema(event.type),
    ...(event.subject === undefined ? {} : { ce_subject: event.subject }),
    ...(event.traceparent === undefined ? {} : { traceparent: event.traceparent }),
  }
}

/** Undefined when a required attribute is missing or malformed: the record is not one of ours. */
export function decodeHeaders(headers: Headers): EventHeaders | undefined {
  const id = headers['ce_id']
  const source = headers['ce_source']
  const type = headers['x-proto-message']
  const timeMs = Date.parse(headers['ce_time'] ?? '')
  if (!id || !source || !type || headers['ce_specversion'] !== '1.0' || Number.isNaN(timeMs)) return undefined
  return { id, source, type, timeMs, subject: headers['ce_subject'], traceparent: headers['traceparent'] }
}

/**
 * The name that `ce_dataschema` gives a message: a URI that never changes, whose last part is the message's full name in
 * the published image (docs/plateau.binpb). A change that readers would misunderstand gets a new package, and so a new name.
 */
export function dataSchema(messageType: string): string {
  return `urn:proto:${messageType}`
}
