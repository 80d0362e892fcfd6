import { topics } from '@plateau/contracts'
import { isTracing, messagingAttributes, startSpan, type WorkSpan } from '@plateau/telemetry'
import type { AcceptedWindow } from './accept-window.js'

/** One span a window, from taking it up until what it led to is durable. */
export class WindowSpans {
  readonly #attributes: ReturnType<typeof messagingAttributes>
  readonly #group: string
  readonly #spans: WorkSpan<'process {topic}'>[] = []

  constructor(group: string) {
    this.#group = group
    this.#attributes = messagingAttributes('process', topics.tokenDistributions.name)
  }

  /** Returns the traceparent for the window's own records. */
  begin({ traceparent, record }: AcceptedWindow): string | undefined {
    if (!isTracing()) return traceparent
    const span = startSpan('process {topic}', {
      of: { topic: topics.tokenDistributions.name },
      parent: traceparent,
      attributes: {
        ...this.#attributes,
        'messaging.consumer.group.name': this.#group,
        'messaging.destination.partition.id': String(record.partition),
        'messaging.kafka.offset': record.offset,
      },
    })
    this.#spans.push(span)
    return span.traceparent
  }

  end(error?: unknown): void {
    for (const span of this.#spans) span.end(error)
  }
}
