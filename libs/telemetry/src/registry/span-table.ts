import type { AttributeName } from './attribute-table.js'

export interface SpanDeclaration {
  readonly service: string
  readonly kind: 'server' | 'client' | 'consumer' | 'producer' | 'internal'
  /** From when to when, and what its parent is. */
  readonly help: string
  readonly attributes: readonly AttributeName[]
  readonly events?: readonly EventName[]
  /** Of a library's instrumentation: our own code does not start it. */
  readonly auto?: true
}

export interface EventDeclaration {
  readonly help: string
  readonly attributes: readonly AttributeName[]
}

/** Moments within a span. A span keeps the newest 128 (OTEL_SPAN_EVENT_COUNT_LIMIT). */
export const eventTable = {
  round: {
    help: 'A round of a response: what was proposed and what came of it. Serving and target-model each say it.',
    attributes: [
      'plateau.proposal.source',
      'plateau.proposed_tokens',
      'plateau.accepted_tokens',
      'plateau.emitted_tokens',
      'plateau.step_us',
    ],
  },
} as const satisfies Readonly<Record<string, EventDeclaration>>

export type EventName = keyof typeof eventTable

const messaging = [
  'messaging.system',
  'messaging.operation.type',
  'messaging.operation.name',
  'messaging.destination.name',
] as const
const consuming = [...messaging, 'messaging.consumer.group.name', 'messaging.destination.partition.id'] as const
const rpc = [
  'rpc.system',
  'rpc.service',
  'rpc.method',
  'rpc.grpc.status_code',
  'grpc.error_name',
  'server.address',
  'server.port',
] as const
const version = ['plateau.lineage', 'plateau.draft.version'] as const

/** Every span there is, by its name; what stands in braces is filled in. */
export const spanTable = {
  '{method} {route}': {
    service: 'serving',
    kind: 'server',
    help: 'A request to the HTTP API until its answer is sent; continues the traceparent of the client. Health, metrics and readiness have none.',
    attributes: [
      'http.request.method',
      'http.route',
      'http.response.status_code',
      'url.scheme',
      'plateau.request.id',
      'error.type',
    ],
  },
  '{operation} {model}': {
    service: 'serving',
    kind: 'internal',
    help: 'One response (one of n choices): waiting for its turn, rounds, last token. Within the request that asked for it.',
    attributes: [
      'gen_ai.operation.name',
      'gen_ai.provider.name',
      'gen_ai.request.model',
      'gen_ai.request.max_tokens',
      'gen_ai.request.temperature',
      'gen_ai.request.top_p',
      'gen_ai.response.finish_reasons',
      'gen_ai.usage.input_tokens',
      'gen_ai.usage.output_tokens',
      'plateau.sample.id',
      'plateau.captured',
      'plateau.draft.version',
      'plateau.rounds',
      'plateau.proposed_tokens',
      'plateau.accepted_tokens',
      'error.type',
    ],
    events: ['round'],
  },
  'grpc.{service}/{method}': {
    service: 'all',
    kind: 'server',
    auto: true,
    help: 'A gRPC call, at its client and at its server (kind client and server): Speculate and Generate of target-model within the response, the orders of operators, Generate of serving. Describe and health checks have none.',
    attributes: rpc,
    events: ['round'],
  },
  'send {topic}': {
    service: 'target-model',
    kind: 'producer',
    help: 'A captured window, from its last position until the log has acknowledged it or it is shed. Within the call that it was captured from; its traceparent is in the record.',
    attributes: [...messaging, 'plateau.sample.id', 'plateau.capture.shed', 'error.type'],
  },
  'process {topic}': {
    service: 'flatness-scorer, trainer',
    kind: 'consumer',
    help: "The scorer: one window, from taking it up until what it led to is durable, within the window's trace. The trainer: a batch of windows, a trace of its own that links theirs.",
    attributes: [...consuming, 'messaging.kafka.offset', 'messaging.batch.message_count', 'error.type'],
  },
  'train {stage}': {
    service: 'trainer',
    kind: 'internal',
    help: 'A solution or a gradient step, the first after new windows came into training. Within the trace of the newest of them that is sampled; links the others.',
    attributes: ['plateau.training.stage', 'plateau.training.windows', 'plateau.training.positions', 'error.type'],
  },
  'publish version': {
    service: 'trainer',
    kind: 'producer',
    help: 'Writing a version to the store and announcing it. Within the training that it came of; its traceparent is in the announcement.',
    attributes: [...messaging, ...version, 'plateau.training.positions', 'plateau.evaluation.alpha', 'error.type'],
  },
  'roll out version': {
    service: 'serving',
    kind: 'consumer',
    help: 'A version, from its announcement until it is live or out. Within its publication.',
    attributes: [...messaging, ...version, 'plateau.rollout.outcome', 'error.type'],
  },
  'verify version': {
    service: 'serving',
    kind: 'internal',
    help: 'Reading, checking and building a version beside the live one, in a thread of its own. Within its roll-out.',
    attributes: [...version, 'error.type'],
  },
  'probe version': {
    service: 'serving',
    kind: 'internal',
    help: 'A few answers, plain against speculative. Within its roll-out.',
    attributes: [...version, 'error.type'],
  },
  '{phase} version': {
    service: 'serving',
    kind: 'internal',
    help: 'The version in shadow, or canary, until it leaves that phase. Within its roll-out.',
    attributes: [...version, 'error.type'],
  },
  'swap version': {
    service: 'serving',
    kind: 'internal',
    help: 'New requests are given the version. Within its roll-out.',
    attributes: [...version, 'plateau.swap_ms'],
  },
} as const satisfies Readonly<Record<string, SpanDeclaration>>

export type SpanTable = typeof spanTable
export type SpanName = keyof SpanTable
/** Spans that our own code starts. */
export type OwnSpanName = { [N in SpanName]: SpanTable[N] extends { readonly auto: true } ? never : N }[SpanName]
export type SpanAttribute<N extends SpanName> = SpanTable[N]['attributes'][number]
/** What stands in braces in a span's name. */
export type Placeholder<N extends string> = N extends `${string}{${infer P}}${infer Rest}`
  ? P | Placeholder<Rest>
  : never
