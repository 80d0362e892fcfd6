import { PlateauError } from '@plateau/contracts'
import type { Tokenizer } from '@plateau/model-files'
import type { OpsHandler } from '@plateau/service-kit'
import { withRemoteParent, type Logger } from '@plateau/telemetry'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { badRequest } from '../request-errors.js'
import { spanned, type ServingEngine } from '../serving-engine.js'
import type { FinishReason } from '../text-pieces.js'
import type { ChatPrompts } from './chat-prompt.js'
import { httpError } from './error-body.js'
import { clientSignal, EventStream, readJson, sendJson } from './http-io.js'
import { parseRequest, type Endpoint, type OpenAiRequest } from './parse-request.js'
import { chunkBody, plateauPart, usageBody, usageOf, wholeBody, type ResponseHead } from './response-bodies.js'

export interface HttpApiOptions {
  readonly host: string
  readonly port: number
  readonly model: string
  readonly tokenizer: Tokenizer
  readonly engine: ServingEngine
  readonly chat: ChatPrompts
  readonly maxBodyBytes: number
  readonly answerOps: OpsHandler
  readonly logger: Logger
  /** Milliseconds since 1970. */
  readonly clock: () => number
  readonly newId: () => string
}

/** Set by a gateway that knows who is asking. */
const TENANT_HEADER = 'x-plateau-tenant'

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>

/** The OpenAI-compatible door: completions, chats, models; health and metrics beside them. */
export class HttpApi {
  readonly #options: HttpApiOptions
  readonly #server: Server
  readonly #routes: ReadonlyMap<string, Handler>
  readonly #open = new Set<ServerResponse>()

  constructor(options: HttpApiOptions) {
    this.#options = options
    this.#routes = new Map<string, Handler>([
      ['POST /v1/completions', (request, response) => this.#complete('completions', request, response)],
      ['POST /v1/chat/completions', (request, response) => this.#complete('chat', request, response)],
      ['GET /v1/models', async (_, response) => this.#listModels(response)],
    ])
    this.#server = createServer((request, response) => void this.#answer(request, response))
  }

  /** Resolves with the URL. */
  async listen(): Promise<string> {
    const { host, port } = this.#options
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, resolve)
    })
    const chosen = (this.#server.address() as AddressInfo).port
    return `http://${host.includes(':') ? `[${host}]` : host}:${chosen}`
  }

  /** Takes no new connections and resolves when every response has been sent. */
  async drain(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    while (this.#open.size > 0) await Promise.all([...this.#open].map((response) => once(response, 'close')))
    // What is left carries no response; a client that only keeps its connection must not hold us up.
    this.#server.closeAllConnections()
    await closed
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#open.add(response)
    response.once('close', () => this.#open.delete(response))
    if (!this.#server.listening) response.setHeader('connection', 'close')
    try {
      if (this.#options.answerOps(request, response)) return
      await this.#route(request)(request, response)
    } catch (error) {
      this.#fail(response, error)
    }
  }

  #route(request: IncomingMessage): Handler {
    const path = request.url?.split('?')[0] ?? ''
    const handler = this.#routes.get(`${request.method} ${path}`)
    if (handler !== undefined) return handler
    const known = [...this.#routes.keys()].some((route) => route.endsWith(` ${path}`))
    throw new PlateauError(
      known ? 'METHOD_NOT_ALLOWED' : 'NOT_FOUND',
      known ? `${path} does not take ${request.method}` : `there is nothing at ${path}`,
    )
  }

  async #complete(endpoint: Endpoint, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const signal = clientSignal(response)
    const { model, tokenizer, chat, maxBodyBytes } = this.#options
    const tenantHeader = headerOf(request, TENANT_HEADER)
    if ((tenantHeader?.length ?? 0) > 256)
      throw badRequest(TENANT_HEADER, `${TENANT_HEADER} is longer than 256 characters`)
    const body = await readJson(request, maxBodyBytes)
    const parsed = parseRequest(endpoint, body, { model, tokenizer, chat, tenantHeader })
    await withRemoteParent(headerOf(request, 'traceparent'), () =>
      spanned(parsed.generation, () =>
        parsed.stream ? this.#stream(parsed, response, signal) : this.#whole(parsed, response, signal),
      ),
    )
  }

  async #whole(request: OpenAiRequest, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const generation = this.#options.engine.generate(request.generation, signal)
    const tokenIds: number[] = []
    let text = ''
    let finish: FinishReason = 'length'
    for await (const piece of generation.pieces) {
      text += piece.text
      tokenIds.push(...piece.tokenIds)
      finish = piece.finish ?? finish
    }
    const usage = usageOf(generation.promptTokens, tokenIds.length)
    const plateau = plateauPart(generation.stats(), request.returnTokenIds ? tokenIds : undefined)
    sendJson(response, 200, wholeBody(this.#head(request.endpoint), text, finish, usage, plateau))
  }

  async #stream(request: OpenAiRequest, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const head = this.#head(request.endpoint)
    const generation = this.#options.engine.generate(request.generation, signal)
    const tokenIds: number[] = []
    // Headers go out with the first piece, so that what fails before it is answered with its own status.
    let events: EventStream | undefined
    try {
      for await (const piece of generation.pieces) {
        tokenIds.push(...piece.tokenIds)
        const first = events === undefined
        events ??= new EventStream(response)
        const { text, finish } = piece
        if (finish === undefined && text === '' && !first) continue
        const last =
          finish === undefined
            ? undefined
            : plateauPart(generation.stats(), request.returnTokenIds ? tokenIds : undefined)
        await events.send(chunkBody(head, { text, first, finish }, last))
      }
      if (request.includeUsage) await events?.send(usageBody(head, usageOf(generation.promptTokens, tokenIds.length)))
      await events?.complete()
    } catch (error) {
      if (events === undefined) throw error
      if (signal.aborted) return
      this.#log(error)
      await events.fail(httpError(error).body)
    }
  }

  #head(endpoint: Endpoint): ResponseHead {
    const { newId, model, clock } = this.#options
    const id = `${endpoint === 'chat' ? 'chatcmpl' : 'cmpl'}-${newId()}`
    return { endpoint, id, model, createdSeconds: Math.floor(clock() / 1000) }
  }

  #listModels(response: ServerResponse): void {
    sendJson(response, 200, {
      object: 'list',
      data: [{ id: this.#options.model, object: 'model', owned_by: 'plateau' }],
    })
  }

  #fail(response: ServerResponse, error: unknown): void {
    // The client has gone: there is nobody to tell.
    if (response.destroyed) return
    this.#log(error)
    const { status, headers, body } = httpError(error)
    if (response.headersSent) response.destroy()
    else sendJson(response, status, body, status === 413 ? { ...headers, connection: 'close' } : headers)
  }

  #log(error: unknown): void {
    if (httpError(error).status === 500) this.#options.logger.error('request failed', { error })
  }
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}
