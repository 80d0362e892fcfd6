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
import { errorCode } from './error-fields.js'
import type { AttributeValues } from './registry/attribute-table.js'
import {
  eventTable,
  spanTable,
  type EventName,
  type OwnSpanName,
  type Placeholder,
  type SpanAttribute,
} from './registry/span-table.js'
import { isTracing, messagingSystem, TRACER } from './tracing.js'

/** A piece of work, which may end later and elsewhere than it began. What it may say of itself is in the registry. */
export interface WorkSpan<N extends OwnSpanName = OwnSpanName> {
  /** For what the work leads to: the span's own, or where nothing is traced the one that came in. */
  readonly traceparent: string | undefined
  /** Runs `body` inside the span, so that the calls it makes belong to it. */
  run<T>(body: () => T): T
  /** The same items, each of them made inside the span. */
  each<T>(items: AsyncGenerator<T, void>): AsyncGenerator<T, void>
  set(attributes: AttributeValues<SpanAttribute<N>>): void
  /** `attributes` is asked for only where the span is recorded. */
  event<E extends EventName>(name: E, attributes: () => EventAttributes<E>): void
  /** What failed marks the span with the error's code, never with its words. Idempotent. */
  end(error?: unknown): void
}

export type EventAttributes<E extends EventName> = AttributeValues<(typeof eventTable)[E]['attributes'][number]>

export interface SpanOptions<N extends OwnSpanName> {
  /** For what stands in braces in the name. */
  readonly of?: Readonly<Record<Placeholder<N>, string>>
  /** W3C traceparent of what caused the work; see `currentTraceparent`. Without one, or a malformed one, a trace begins. */
  readonly parent?: string | undefined
  /** Of further causes, where work is for many records at once. The first 128 are kept, as the SDK would. */
  readonly links?: Iterable<string | undefined>
  readonly attributes?: AttributeValues<SpanAttribute<N>>
  /** Milliseconds since 1970, of work that is told of when it is done. Default: now. */
  readonly startedMs?: number
}

export const MAX_LINKS = 128

const KINDS = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  consumer: SpanKind.CONSUMER,
  producer: SpanKind.PRODUCER,
  internal: SpanKind.INTERNAL,
}

/** Costs nothing to speak of while tracing is off. */
export function startSpan<N extends OwnSpanName>(name: N, options: SpanOptions<N>): WorkSpan<N> {
  if (!isTracing()) return options.parent === undefined ? NOT_TRACED : { ...NOT_TRACED, traceparent: options.parent }
  const parent = contextOf(options.parent)
  const kind = KINDS[spanTable[name].kind]
  const { of, links, attributes, startedMs } = options
  const filled = of === undefined ? name : fill(name, of)
  const span = trace.getTracer(TRACER).startSpan(
    filled,
    {
      kind,
      ...(links === undefined ? {} : { links: linksOf(links) }),
      ...(startedMs === undefined ? {} : { startTime: startedMs }),
      attributes: (attributes ?? {}) as Attributes,
    },
    parent,
  )
  return recording(span, trace.setSpan(parent, span))
}

/** Runs `body` inside a span that ends with it; what it throws marks the span and is thrown on. */
export async function inSpan<N extends OwnSpanName, T>(
  name: N,
  options: SpanOptions<N>,
  body: (span: WorkSpan<N>) => Promise<T>,
): Promise<T> {
  const span = startSpan(name, options)
  try {
    return await span.run(() => body(span))
  } catch (error) {
    span.end(error)
    throw error
  } finally {
    span.end()
  }
}

/** W3C traceparent of the span that this code runs in; undefined outside a trace. */
export function currentTraceparent(): string | undefined {
  if (!isTracing()) return undefined
  const active = trace.getSpanContext(context.active())
  return active === undefined || !isSpanContextValid(active) ? undefined : traceparentOf(active)
}

/** Whether a traceparent belongs to a trace that is recorded. */
export function isSampled(traceparent: string | undefined): boolean {
  return ((spanContextOf(traceparent)?.traceFlags ?? 0) & 1) === 1
}

/** A moment of the span that this code runs in; `attributes` is asked for only where that is recorded. */
export function addSpanEvent<E extends EventName>(name: E, attributes: () => EventAttributes<E>): void {
  if (!isTracing()) return
  const span = trace.getActiveSpan()
  if (span?.isRecording() === true) span.addEvent(name, attributes() as Attributes)
}

/** The attributes of OpenTelemetry's messaging conventions that all our spans on records have. */
export function messagingAttributes(operation: 'process' | 'send', topic: string) {
  return {
    'messaging.system': messagingSystem(),
    'messaging.operation.type': operation,
    'messaging.operation.name': operation,
    'messaging.destination.name': topic,
  }
}

const NOT_TRACED: WorkSpan = {
  traceparent: undefined,
  run: (body) => body(),
  each: (items) => items,
  set: () => {},
  event: () => {},
  end: () => {},
}

function recording(span: Span, inside: Context): WorkSpan {
  let hasEnded = false
  return {
    traceparent: traceparentOf(span.spanContext()),
    run: (body) => context.with(inside, body),
    each: (items) => madeIn(inside, items),
    set: (attributes) => void span.setAttributes(attributes as Attributes),
    event: (name, attributes) => {
      if (span.isRecording()) span.addEvent(name, attributes() as Attributes)
    },
    end: (error) => {
      if (hasEnded) return
      hasEnded = true
      if (error !== undefined)
        span.setAttribute('error.type', errorCode(error)).setStatus({ code: SpanStatusCode.ERROR })
      span.end()
    },
  }
}

/** A generator runs in the context of whoever asks for its next item, not of whoever made it. */
async function* madeIn<T>(inside: Context, items: AsyncGenerator<T, void>): AsyncGenerator<T, void> {
  try {
    for (;;) {
      const next = await context.with(inside, () => items.next())
      if (next.done === true) return
      yield next.value
    }
  } finally {
    await context.with(inside, () => items.return())
  }
}

function fill(name: string, values: Readonly<Record<string, string>>): string {
  return name.replaceAll(/\{(\w+)\}/g, (_, placeholder: string) => values[placeholder] ?? '').trim()
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
  const match = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/.exec(traceparent ?? '')
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
