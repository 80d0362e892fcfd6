import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

interface Version {
  readonly id: number
  readonly schema: string
}

/**
 * A schema registry as far as this package uses one: Confluent's paths, answers and error codes. Compatible is a schema
 * that still has every field of the version before it.
 */
export class RegistryServer {
  readonly subjects = new Map<string, Version[]>()
  readonly requests: { readonly path: string; readonly headers: IncomingMessage['headers'] }[] = []
  url = ''
  /** When set, other credentials are refused. */
  credentials: string | undefined
  readonly #ids = new Map<string, number>()

  static async start(): Promise<RegistryServer> {
    const registry = new RegistryServer()
    const server = createServer((request, response) => void registry.#handle(request, response))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    registry.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    return registry
  }

  add(subject: string, schema: string): Version {
    const id = this.#ids.get(schema) ?? 100 + this.#ids.size
    this.#ids.set(schema, id)
    const versions = this.subjects.get(subject) ?? []
    const version = { id, schema }
    this.subjects.set(subject, [...versions, version])
    return version
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent(request.url ?? '')
    this.requests.push({ path, headers: request.headers })
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { schemaType, schema } = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, string>
    const answer = (status: number, body: object) => response.writeHead(status).end(JSON.stringify(body))
    const expected = this.credentials && `Basic ${Buffer.from(this.credentials).toString('base64')}`
    if (expected && request.headers.authorization !== expected) {
      return void answer(401, { error_code: 401, message: 'Unauthorized' })
    }
    if (request.method !== 'POST' || schemaType !== 'PROTOBUF' || schema === undefined) {
      return void answer(422, { error_code: 42_201, message: 'Invalid schema' })
    }
    const [, lookUp] = /^\/subjects\/([^/]+)$/.exec(path) ?? []
    if (lookUp !== undefined) return void answer(...this.#lookUp(lookUp, schema))
    const [, register] = /^\/subjects\/([^/]+)\/versions$/.exec(path) ?? []
    if (register !== undefined) return void answer(...this.#register(register, schema))
    const [, compare] = /^\/compatibility\/subjects\/([^/]+)\/versions\/latest\?verbose=true$/.exec(path) ?? []
    if (compare !== undefined) return void answer(...this.#compare(compare, schema))
    answer(404, { error_code: 404, message: 'HTTP 404 Not Found' })
  }

  #lookUp(subject: string, schema: string): [number, object] {
    const versions = this.subjects.get(subject)
    if (versions === undefined) return [404, { error_code: 40_401, message: `Subject '${subject}' not found.` }]
    const index = versions.findIndex((version) => version.schema === schema)
    if (index < 0) return [404, { error_code: 40_403, message: 'Schema not found' }]
    return [200, { subject, id: versions[index]!.id, version: index + 1, schema }]
  }

  #register(subject: string, schema: string): [number, object] {
    const missing = this.#missing(subject, schema)
    if (missing.length > 0) return [409, { error_code: 409, message: `Schema being registered lacks ${missing[0]}` }]
    return [200, { id: this.add(subject, schema).id }]
  }

  #compare(subject: string, schema: string): [number, object] {
    if (!this.subjects.has(subject)) return [404, { error_code: 40_401, message: `Subject '${subject}' not found.` }]
    const messages = this.#missing(subject, schema).map((field) => `lacks ${field}`)
    return [200, { is_compatible: messages.length === 0, messages }]
  }

  #missing(subject: string, schema: string): string[] {
    const fields = (text: string) => text.match(/\w+ = \d+;/g) ?? []
    const before = this.subjects.get(subject)?.at(-1)?.schema ?? ''
    return fields(before).filter((field) => !schema.includes(field))
  }
}
