/** What an attribute of a span or of a span's event is. */
export interface AttributeDeclaration {
  readonly type: 'string' | 'number' | 'boolean' | 'strings'
  readonly help: string
  /** Whose name it is. What OpenTelemetry has a name for is not named again. */
  readonly from: 'OpenTelemetry' | 'Plateau'
  /** Absent: stable, as OpenTelemetry says of its own. */
  readonly stability?: 'development'
}

const otel = { from: 'OpenTelemetry' } as const
const otelDevelopment = { from: 'OpenTelemetry', stability: 'development' } as const
const ours = { from: 'Plateau' } as const

/**
 * Every attribute there is on spans and their events: sizes, names that we or an operator chose, codes. Never what a
 * client wrote: no prompt, completion, token id, key, header, tenant or path.
 */
export const attributeTable = {
  'error.type': {
    ...otel,
    type: 'string',
    help: 'Code of the error, or its class; the words are in the log line with the same trace id',
  },
  'http.request.method': { ...otel, type: 'string', help: 'GET or POST' },
  'http.route': {
    ...otel,
    type: 'string',
    help: 'the route that was matched, such as /v1/chat/completions; absent where there is none',
  },
  'http.response.status_code': { ...otel, type: 'number', help: 'HTTP status; absent when the client left first' },
  'url.scheme': { ...otel, type: 'string', help: 'http' },
  'gen_ai.operation.name': { ...otelDevelopment, type: 'string', help: 'chat or text_completion' },
  'gen_ai.provider.name': { ...otelDevelopment, type: 'string', help: 'plateau' },
  'gen_ai.request.model': { ...otelDevelopment, type: 'string', help: 'the model that is served' },
  'gen_ai.request.max_tokens': { ...otelDevelopment, type: 'number', help: 'most tokens that the response may have' },
  'gen_ai.request.temperature': { ...otelDevelopment, type: 'number', help: 'temperature asked for' },
  'gen_ai.request.top_p': { ...otelDevelopment, type: 'number', help: 'top_p asked for' },
  'gen_ai.response.finish_reasons': {
    ...otelDevelopment,
    type: 'strings',
    help: 'stop or length; absent when it did not finish',
  },
  'gen_ai.usage.input_tokens': { ...otelDevelopment, type: 'number', help: 'tokens of the prompt' },
  'gen_ai.usage.output_tokens': { ...otelDevelopment, type: 'number', help: 'tokens generated' },
  'rpc.system': { ...otel, type: 'string', help: 'grpc' },
  'rpc.service': { ...otel, type: 'string', help: 'full name of the gRPC service' },
  'rpc.method': { ...otel, type: 'string', help: 'name of the method' },
  'rpc.grpc.status_code': { ...otel, type: 'number', help: 'gRPC status the call ended with' },
  'grpc.error_name': { ...otelDevelopment, type: 'string', help: 'class of the error a call ended with' },
  'server.address': { ...otel, type: 'string', help: 'host that is called' },
  'server.port': { ...otel, type: 'number', help: 'port that is called' },
  'messaging.system': { ...otelDevelopment, type: 'string', help: 'kafka, or plateau for the embedded log' },
  'messaging.operation.type': { ...otelDevelopment, type: 'string', help: 'send or process' },
  'messaging.operation.name': { ...otelDevelopment, type: 'string', help: 'as the type' },
  'messaging.destination.name': { ...otelDevelopment, type: 'string', help: 'topic' },
  'messaging.destination.partition.id': { ...otelDevelopment, type: 'string', help: 'partition' },
  'messaging.consumer.group.name': { ...otelDevelopment, type: 'string', help: 'consumer group' },
  'messaging.kafka.offset': { ...otelDevelopment, type: 'number', help: 'offset of the record' },
  'messaging.batch.message_count': { ...otelDevelopment, type: 'number', help: 'records handled together' },
  'plateau.request.id': { ...ours, type: 'string', help: 'the X-Request-Id that the client was answered with' },
  'plateau.sample.id': { ...ours, type: 'string', help: 'the response, as its records name it' },
  'plateau.captured': { ...ours, type: 'boolean', help: 'whether the response is captured for training' },
  'plateau.lineage': { ...ours, type: 'string', help: 'lineage of the draft' },
  'plateau.draft.version': { ...ours, type: 'string', help: 'version of the draft; "0": none' },
  'plateau.rounds': { ...ours, type: 'number', help: 'rounds that proposed something' },
  'plateau.proposed_tokens': { ...ours, type: 'number', help: 'tokens proposed, by the draft or copied from the text' },
  'plateau.accepted_tokens': { ...ours, type: 'number', help: 'proposed tokens that the target accepted' },
  'plateau.emitted_tokens': { ...ours, type: 'number', help: 'tokens the round added to the response' },
  'plateau.proposal.source': { ...ours, type: 'string', help: 'draft, lookup (copied from the text), or none' },
  'plateau.step_us': { ...ours, type: 'number', help: 'microseconds of the engine for the round' },
  'plateau.capture.shed': {
    ...ours,
    type: 'string',
    help: 'why the window was not published: queue_full, too_large, refused, shutdown or redacted',
  },
  'plateau.training.stage': { ...ours, type: 'string', help: 'closed-form or gradients' },
  'plateau.training.windows': {
    ...ours,
    type: 'number',
    help: 'windows that came into training since the span before it; up to 128 of their traces are linked',
  },
  'plateau.training.positions': {
    ...ours,
    type: 'number',
    help: 'positions trained on so far, over the life of the lineage',
  },
  'plateau.evaluation.alpha': { ...ours, type: 'number', help: 'alpha of the version on held-out positions' },
  'plateau.rollout.outcome': {
    ...ours,
    type: 'string',
    help: 'live, rejected, put off (the checkpoint store is away), replaced (another was pinned), or stopped with the service',
  },
  'plateau.swap_ms': { ...ours, type: 'number', help: 'milliseconds from the announcement to new requests using it' },
} as const satisfies Readonly<Record<string, AttributeDeclaration>>

export type AttributeName = keyof typeof attributeTable

interface ValueOf {
  readonly string: string
  readonly number: number
  readonly boolean: boolean
  readonly strings: string[]
}

/** Values for some of the attributes; what is undefined is left out. */
export type AttributeValues<N extends AttributeName = AttributeName> = {
  readonly [A in N]?: ValueOf[(typeof attributeTable)[A]['type']] | undefined
}
