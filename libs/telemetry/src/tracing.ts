import type { ReadableSpan, Sampler, SpanExporter } from '@opentelemetry/sdk-trace'
import { register } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ProcessIdentity } from './process-identity.js'

export const TRACER = 'plateau'

/** As OpenTelemetry names them; "parentbased": whoever calls decides, and only where nobody has, the rest of the name. */
export const samplers = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const
export type SamplerName = (typeof samplers)[number]

/** The exporter retries a collector that is down for ten seconds: longer than a drain should take. */
const STOP_MS = 1_500

/** Looked at every second or two by probes and by serving: spans of these would bury the others. */
const UNTRACED_CALLS = ['Describe', 'Check', 'Watch', 'List', 'ServerReflectionInfo']

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
  readonly identity: ProcessIdentity
  readonly endpoint: string | undefined
  readonly sampler?: SamplerName
  /** Share of traces, 0 to 1, for the samplers that take one. */
  readonly share?: number
  /** What carries the records, for `messaging.system`: "kafka", or the default "plateau" for the embedded log. */
  readonly messagingSystem?: string
  /** Told when spans could not be sent, once until they can be again. */
  readonly onError: (error: unknown) => void
}): Promise<Tracing> {
  if (options.endpoint === undefined) return { stop: async () => {} }
  // Only what is instrumented: the hook would put a layer around every export of every module.
  register('@opentelemetry/instrumentation/hook.mjs', import.meta.url, { data: { include: ['@grpc/grpc-js'] } })
  // Loaded only here: the SDK takes a good part of a second, which a service without a collector need not spend.
  const { NodeSDK } = await import('@opentelemetry/sdk-node')
  const { envDetector, resourceFromAttributes } = await import('@opentelemetry/resources')
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http')
  const { GrpcInstrumentation } = await import('@opentelemetry/instrumentation-grpc')
  const exporter = new OTLPTraceExporter({ url: `${options.endpoint.replace(/\/+$/, '')}/v1/traces` })
  const sdk = new NodeSDK({
    resource: resourceFromAttributes({ ...options.identity }),
    // What an operator says of the deployment. The others would tell the command line and the machine's user.
    resourceDetectors: [envDetector],
    sampler: await samplerOf(options.sampler ?? 'parentbased_always_on', options.share ?? 1),
    traceExporter: guarded(exporter, options.onError),
    metricReaders: [],
    logRecordProcessors: [],
    instrumentations: [new GrpcInstrumentation({ ignoreGrpcMethods: UNTRACED_CALLS })],
  })
  sdk.start()
  tracing = true
  system = options.messagingSystem ?? system
  return {
    // Why the last spans could not be sent was told by the exporter.
    stop: () => Promise.race([sdk.shutdown(), sleep(STOP_MS, undefined, { ref: false })]).catch(() => {}),
  }
}

async function samplerOf(name: SamplerName, share: number): Promise<Sampler> {
  const { AlwaysOffSampler, AlwaysOnSampler, ParentBasedSampler, TraceIdRatioBasedSampler } =
    await import('@opentelemetry/sdk-trace')
  const isOfParent = name.startsWith('parentbased_')
  const kind = name.replace('parentbased_', '') as 'always_on' | 'always_off' | 'traceidratio'
  const root = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(share),
  }[kind]()
  return isOfParent ? new ParentBasedSampler({ root }) : root
}

/** Sends spans without the words of errors, and says when a collector cannot be had: the SDK would drop them in silence. */
function guarded(exporter: SpanExporter, onError: (error: unknown) => void): SpanExporter {
  let isFailing = false
  return {
    export: (spans, done) =>
      exporter.export(spans.map(wordless), (result) => {
        if (result.error !== undefined && !isFailing) onError(result.error)
        isFailing = result.error !== undefined
        done(result)
      }),
    shutdown: () => exporter.shutdown(),
    ...(exporter.forceFlush === undefined ? {} : { forceFlush: () => exporter.forceFlush!() }),
  }
}

/**
 * gRPC's instrumentation puts the words of an error on the span, and those may repeat what a client sent. The code stays;
 * the words are where they are looked after: in the log line with the same trace id.
 */
function wordless(span: ReadableSpan): ReadableSpan {
  if (!('grpc.error_message' in span.attributes) && span.status.message === undefined) return span
  const { 'grpc.error_message': _, ...attributes } = span.attributes
  return Object.create(span, {
    attributes: { value: attributes, enumerable: true },
    status: { value: { code: span.status.code }, enumerable: true },
  }) as ReadableSpan
}
