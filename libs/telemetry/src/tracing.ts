import { context, propagation, SpanStatusCode, trace, type Attributes, type Span } from '@opentelemetry/api'
import { register } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'

export const TRACER = 'plateau'

/** The exporter retries a collector that is down for ten seconds: longer than a drain should take. */
const STOP_MS = 1_500

let tracing = false
let system = 'plateau'

/** Whether this process sends spans anywhere. */
export function isTracing(): boolean {
  return tracing
}

/** `messaging.system` of this process's spans. */
export function messagingSystem(): string {
  return system
}

export interface Tracing {
  /** Sends what is buffered. Never throws: a collector that is down must not fail a shutdown. */
  stop(): Promise<void>
}

/**
 * Starts OpenTelemetry with gRPC instrumentation when there is a collector to send to. Must run before grpc-js is
 * imported for the first time (hence the dynamic imports in `runService`): the hook cannot see what is already loaded.
 */
export async function startTracing(options: {
  readonly service: string
  readonly endpoint: string | undefined
  /** What carries the records, for `messaging.system`: "kafka", or the default "plateau" for the embedded log. */
  readonly messagingSystem?: string
  /** Told when spans could not be sent at the end. */
  readonly onError: (error: unknown) => void
}): Promise<Tracing> {
  if (options.endpoint === undefined) return { stop: async () => {} }
  register('@opentelemetry/instrumentation/hook.mjs', import.meta.url)
  // Loaded only here: the SDK takes a good part of a second, which a service without a collector need not spend.
  const { NodeSDK } = await import('@opentelemetry/sdk-node')
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http')
  const { GrpcInstrumentation } = await import('@opentelemetry/instrumentation-grpc')
  const sdk = new NodeSDK({
    serviceName: options.service,
    traceExporter: new OTLPTraceExporter({ url: new URL('/v1/traces', options.endpoint).href }),
    metricReaders: [],
    instrumentations: [new GrpcInstrumentation()],
  })
  sdk.start()
  tracing = true
  system = options.messagingSystem ?? system
  return {
    stop: () => Promise.race([sdk.shutdown(), sleep(STOP_MS, undefined, { ref: false })]).catch(options.onError),
  }
}

/** W3C traceparent of the active span; undefined outside a recorded one. */
export function currentTraceparent(): string | undefined {
  const carrier: Record<string, string> = {}
  propagation.inject(context.active(), carrier)
  return carrier['traceparent']
}

/** Runs `body` inside a span; what it throws marks the span and is thrown on. */
export function withSpan<T>(name: string, attributes: Attributes, body: (span: Span) => Promise<T>): Promise<T> {
  return trace.getTracer(TRACER).startActiveSpan(name, { attributes }, async (span) => {
    try {
      return await body(span)
    } catch (error) {
      span.recordException(error instanceof Error ? error : String(error))
      span.setStatus({ code: SpanStatusCode.ERROR })
      throw error
    } finally {
      span.end()
    }
  })
}

/** Runs `body` as a continuation of the trace that a record or request came with. */
export function withRemoteParent<T>(traceparent: string | undefined, body: () => T): T {
  if (traceparent === undefined) return body()
  return context.with(propagation.extract(context.active(), { traceparent }), body)
}
