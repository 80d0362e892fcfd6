import {
  type Attributes,
  context,
  type Context,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { isTracing, messagingSystem, TRACER } from './tracing.js'

/** A piece of work on records, which may end later and elsewhere than it began. */
export interface MessageSpan {
  /** For the records that the work produces: the span's own, or where nothing is traced the one that came in. */
  readonly traceparent: string | undefined
  /** Runs `body` inside the span, so that the calls it makes belong to it. */
  run<T>(body: () => T): T
  /** What failed marks the span. Idempotent. */
  end(error?: unknown): void
}

export interface MessageSpanOptions {
  readonly kind: 'consumer' | 'producer' | 'internal'
  /** W3C traceparent of what caused the work. */
  readonly parent?: string | undefined
  /** Of further causes, where work is for many records at once. The first 128 are kept, as the SDK would. */
  readonly links?: Iterable<string | undefined>
  readonly attributes?: Attributes
}

const MAX_LINKS = 128
const KINDS = { consumer: SpanKind.CONSUMER, producer: SpanKind.PRODUCER, internal: SpanKind.INTERNAL }

/** Costs nothing to speak of while tracing is off. */
export function startMessageSpan(name: string, options: MessageSpanOptions): MessageSpan {
  if (!isTracing()) return { traceparent: options.parent, run: (body) => body(), end: () => {} }
  const parent = contextOf(options.parent)
  const span = trace.getTracer(TRACER).startSpan(
    name,
    {
      kind: KINDS[options.kind],
      links: linksOf(options.links ?? []),
      ...(options.attributes === undefined ? {} : { attributes: options.attributes }),
    },
    parent,
  )
  return recording(span, trace.setSpan(parent, span))
}

/** The attributes of OpenTelemetry's messaging conventions that all our spans on records have. */
export function messagingAttributes(operation: 'process' | 'send', topic: string, group?: string): Attributes {
  return {
    'messaging.system': messagingSystem(),
    'messaging.operation.type': operation,
    'messaging.operation.name': operation,
    'messaging.destination.name': topic,
    ...(group === undefined ? {} : { 'messaging.consumer.group.name': group }),
  }
}

function recording(span: Span, inside: Context): MessageSpan {
  let hasEnded = false
  return {
    traceparent: traceparentOf(span.spanContext()),
    run: (body) => context.with(inside, body),
    end: (error) => {
      if (hasEnded) return
      hasEnded = true
      if (error !== undefined) {
        span.recordException(error instanceof Error ? error : JSON.stringify(error))
        span.setStatus({ code: SpanStatusCode.ERROR })
      }
      span.end()
    },
  }
}

function linksOf(traceparents: Iterable<string | undefined>): { readonly context: SpanContext }[] {
  const links: { readonly context: SpanContext }[] = []
  for (const traceparent of traceparents) {
    const linked = spanContextOf(traceparent)
    if (linked !== undefined) links.push({ context: linked })
    if (links.length === MAX_LINKS) break
  }
  return links
}

function contextOf(traceparent: string | undefined): Context {
  const remote = spanContextOf(traceparent)
  return remote === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote)
}

/** https://www.w3.org/TR/trace-context/#traceparent-header. What is malformed is no parent. */
function spanContextOf(traceparent: string | undefined): SpanContext | undefined {
  const match = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/.exec(traceparent ?? '')
  if (match === null) return undefined
  const found = {
    traceId: match[1]!,
    spanId: match[2]!,
    traceFlags: Number.parseInt(match[3]!, 16) & 1,
    isRemote: true,
  }
  return isSpanContextValid(found) ? found : undefined
}

function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
}
