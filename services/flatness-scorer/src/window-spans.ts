import { topics } from '@plateau/contracts'
import { isTracing, messagingAttributes, startMessageSpan, type MessageSpan } from '@plateau/telemetry'
import type { AcceptedWindow } from './accept-window.js'

/** One span a window, from taking it up until what it led to is durable. */
export class WindowSpans {
  readonly #attributes: ReturnType<typeof messagingAttributes>
  readonly #spans: MessageSpan[] = []

  constructor(group: string) {
    this.#attributes = messagingAttributes('process', topics.tokenDistributions.name, group)
  }

  /** Returns the traceparent for the window's own records. */
  begin({ traceparent, record }: AcceptedWindow): string | undefined {
    if (!isTracing()) return traceparent
    const span = startMessageSpan(`process ${topics.tokenDistributions.name}`, {
      kind: 'consumer',
      parent: traceparent,
      attributes: {
        ...this.#attributes,
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
