import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A span as a collector gets it, its values plain. */
export interface CollectedSpan {
  readonly service: string
  readonly name: string
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number
  readonly traceId: string
  readonly spanId: string
  /** '' where a trace begins. */
  readonly parentSpanId: string
  readonly isError: boolean
  readonly attributes: Readonly<Record<string, unknown>>
  readonly resource: Readonly<Record<string, unknown>>
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly events: readonly { readonly name: string; readonly attributes: Readonly<Record<string, unknown>> }[]
}

interface OtlpAttribute {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}

interface OtlpSpan {
  readonly name: string
  readonly kind: number
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly status?: { readonly code?: number }
  readonly attributes?: OtlpAttribute[]
  readonly links?: { readonly traceId: string; readonly spanId: string }[]
  readonly events?: { readonly name: string; readonly attributes?: OtlpAttribute[] }[]
}

interface OtlpRequest {
  readonly resourceSpans: {
    readonly resource: { readonly attributes: OtlpAttribute[] }
    readonly scopeSpans: { readonly spans: OtlpSpan[] }[]
  }[]
}

/** For tests: receives OTLP over HTTP as JSON, as an OpenTelemetry collector does, and keeps what it got. */
export class TestCollector {
  readonly spans: CollectedSpan[] = []
  /** The requests, as they came. */
  readonly bodies: string[] = []
  readonly #server: Server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      this.#take(Buffer.concat(chunks).toString('utf8'))
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
  })

  /** Resolves with the endpoint. */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  stop(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #take(body: string): void {
    this.bodies.push(body)
    for (const { resource, scopeSpans } of (JSON.parse(body) as OtlpRequest).resourceSpans) {
      const about = valuesOf(resource.attributes)
      for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
        this.spans.push({
          service: String(about['service.name']),
          name: span.name,
          kind: span.kind,
          traceId: span.traceId,
          spanId: span.spanId,
          parentSpanId: span.parentSpanId ?? '',
          isError: span.status?.code === 2,
          attributes: valuesOf(span.attributes ?? []),
          resource: about,
          links: (span.links ?? []).map(({ traceId, spanId }) => ({ traceId, spanId })),
          events: (span.events ?? []).map(({ name, attributes }) => ({ name, attributes: valuesOf(attributes ?? []) })),
        })
      }
    }
  }
}

function valuesOf(attributes: readonly OtlpAttribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plain(value)]))
}

function plain(value: Readonly<Record<string, unknown>>): unknown {
  const [kind, held] = Object.entries(value)[0] ?? []
  if (kind === 'arrayValue') return (held as { values: Record<string, unknown>[] }).values.map(plain)
  // 64-bit numbers may come as text.
  return kind === 'intValue' ? Number(held) : held
}
