import { PlateauError } from '@plateau/contracts'
import type { Tokenizer } from '@plateau/model-files'
import type { OpsHandler } from '@plateau/service-kit'
import { errorCode, startSpan, type Logger, type WorkSpan } from '@plateau/telemetry'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Access, Caller } from '../access/access.js'
import { badRequest, unavailable, unknownModel } from '../request-errors.js'
import type { ServingEngine } from '../serving-engine.js'
import type { RequestMetricsLevel } from './acceptance-metrics.js'
import { Answer } from './answer.js'
import { askedOf } from './asked-of.js'
import type { ChatPrompts } from './chat-prompt.js'
import { httpError } from './error-body.js'
import { MAX_NAME_LENGTH } from './field-reader.js'
import { clientSignal, EventStream, readJson, sendJson, type BodyLimits } from './http-io.js'
import { parseRequest, type Endpoint, type OpenAiRequest } from './parse-request.js'
import { chunkBody, usageBody, wholeBody, type ResponseHead } from './response-bodies.js'
import { detokenize, tokenize, type TokenizeOptions } from './tokenize.js'

export interface HttpApiOptions {
  readonly host: string
  readonly port: number
  readonly model: string
  readonly tokenizer: Tokenizer
  readonly engine: ServingEngine
  readonly chat: ChatPrompts
  readonly access: Access
  readonly body: BodyLimits
  /** Choices that can be here at once, running or waiting. */
  readonly maxChoices: number
  readonly requestMetrics: RequestMetricsLevel
  /** Most tokens that a round may propose; undefined: there is no speculation here. */
  readonly maxProposal: number | undefined
  /** The longest prompt plus response; undefined while no target has said it. */
  readonly maxModelLength: () => number | undefined
  /** Undefined while requests are answered. */
  readonly whyNotReady: () => string | undefined
  readonly version: string
  readonly answerOps: OpsHandler
  readonly logger: Logger
  /** Milliseconds since 1970. */
  readonly clock: () => number
  readonly newId: () => string
}

/** Set by a gateway that knows who is asking. */
const TENANT_HEADER = 'x-plateau-tenant'
const MAX_HEADERS = 100
const HEADERS_TIMEOUT_MS = 10_000
/** Further ones are closed at once: a descriptor each is what they cost. */
const MAX_CONNECTIONS = 8192

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly caller: Caller
}

type Handler = (exchange: Exchange) => Promise<void>

/** The OpenAI-compatible door: completions, chats, models, tokens; health and metrics beside them. */
export class HttpApi {
  readonly #options: HttpApiOptions
  readonly #server: Server
  readonly #routes: ReadonlyMap<string, Handler>
  readonly #open = new Set<ServerResponse>()
  readonly #startedSeconds: number

  constructor(options: HttpApiOptions) {
    this.#options = options
    this.#startedSeconds = Math.floor(options.clock() / 1000)
    this.#routes = new Map<string, Handler>([
      ['POST /v1/completions', (exchange) => this.#complete('completions', exchange)],
      ['POST /v1/chat/completions', (exchange) => this.#complete('chat', exchange)],
      ['GET /v1/models', async ({ response }) => this.#listModels(response)],
      ['POST /tokenize', (exchange) => this.#convert(tokenize, exchange)],
      ['POST /detokenize', (exchange) => this.#convert(detokenize, exchange)],
      ['GET /version', async ({ response }) => sendJson(response, 200, { version: options.version })],
    ])
    // Its own answer to slow headers; bodies have their own limit. It looks once a second.
    const limits = { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: 0, connectionsCheckingInterval: 1_000 }
    this.#server = createServer(limits, (request, response) => void this.#answer(request, response))
    // One more than are allowed, so that too many can be told from enough.
    this.#server.maxHeadersCount = MAX_HEADERS + 1
    this.#server.maxConnections = MAX_CONNECTIONS
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
    let span: RequestSpan | undefined
    try {
      // Whoever operates the service needs no key.
      if (this.#options.answerOps(request, response) || this.#answerHealth(request, response)) return
      const requestId = this.#options.newId()
      response.setHeader('x-request-id', requestId)
      span = this.#startSpan(request, requestId)
      if (request.rawHeaders.length > 2 * MAX_HEADERS)
        throw new PlateauError('TOO_MANY_HEADERS', `a request may have up to ${MAX_HEADERS} headers`)
      const handler = this.#route(request)
      const caller = this.#options.access.authenticate(request.headers.authorization)
      await span.run(() => handler({ request, response, caller }))
      endSpan(span, response, undefined)
    } catch (error) {
      if (span === undefined) return this.#fail(response, error)
      // Inside, so that what is logged of it has its trace id.
      span.run(() => this.#fail(response, error))
      endSpan(span, response, error)
    }
  }

  /** Continues the client's trace. The route is ours; a path may hold anything. */
  #startSpan(request: IncomingMessage, requestId: string): RequestSpan {
    const { method = '' } = request
    const path = pathOf(request)
    const isModel = path.startsWith(MODEL_PATH)
    const route = isModel ? `${MODEL_PATH}{model}` : this.#routes.has(`${method} ${path}`) ? path : undefined
    const known = KNOWN_METHODS.has(method) ? method : '_OTHER'
    return startSpan('{method} {route}', {
      of: { method: known === '_OTHER' ? 'HTTP' : known, route: route ?? '' },
      parent: headerOf(request, 'traceparent'),
      attributes: {
        'http.request.method': known,
        'http.route': route,
        'url.scheme': 'http',
        'plateau.request.id': requestId,
      },
    })
  }

  #route(request: IncomingMessage): Handler {
    const path = pathOf(request)
    const handler = this.#routes.get(`${request.method} ${path}`)
    if (handler !== undefined) return handler
    if (request.method === 'GET' && path.startsWith(MODEL_PATH))
      return async ({ response }) => this.#retrieveModel(path, response)
    const known = [...this.#routes.keys()].some((route) => route.endsWith(` ${path}`))
    throw new PlateauError(
      known ? 'METHOD_NOT_ALLOWED' : 'NOT_FOUND',
      known ? `${path} does not take ${request.method}` : `there is nothing at ${path}`,
    )
  }

  async #complete(endpoint: Endpoint, { request, response, caller }: Exchange): Promise<void> {
    const signal = clientSignal(response)
    const { model, tokenizer, chat, access, engine, maxChoices } = this.#options
    const tenantHeader = headerOf(request, TENANT_HEADER)
    if ((tenantHeader?.length ?? 0) > MAX_NAME_LENGTH)
      throw badRequest(TENANT_HEADER, `${TENANT_HEADER} is longer than ${MAX_NAME_LENGTH} characters`)
    const body = await readJson(request, this.#options.body)
    const parsed = parseRequest(endpoint, body, { model, tokenizer, chat, caller, tenantHeader })
    const [first] = parsed.generations
    const reserved = access.reserve(first!.tenant, askedOf(parsed, engine, maxChoices))
    const { requestMetrics: metrics, maxProposal } = this.#options
    const answer = new Answer(parsed, { engine, tokenizer, metrics, maxProposal }, signal)
    try {
      await (parsed.stream === undefined
        ? this.#whole(parsed, answer, response)
        : this.#stream(parsed, answer, response, signal))
    } finally {
      reserved.settle(answer.usedTokens())
    }
  }

  async #whole({ endpoint }: OpenAiRequest, answer: Answer, response: ServerResponse): Promise<void> {
    const choices = await answer.whole()
    const parts = { usage: answer.usage(), metrics: answer.metrics(), plateau: answer.plateau() }
    sendJson(response, 200, wholeBody(this.#head(endpoint), choices, parts))
  }

  async #stream(
    { endpoint, stream }: OpenAiRequest,
    answer: Answer,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    const head = this.#head(endpoint)
    // Headers go out with the first piece, so that what fails before it is answered with its own status.
    let events: EventStream | undefined
    try {
      for await (const part of answer.parts()) {
        events ??= new EventStream(response, this.#options.body.timeoutMs)
        const ended = part.finish === undefined ? {} : { plateau: answer.plateauOfChoice(part.index) }
        const usage = stream?.continuousUsage === true ? answer.usageOfChoice(part.index) : null
        await events.send(chunkBody(head, part, { ...(stream?.includeUsage === true ? { usage } : {}), ...ended }))
      }
      const parts = { usage: answer.usage(), metrics: answer.metrics() }
      if (stream?.includeUsage === true) await events?.send(usageBody(head, parts))
      await events?.complete()
    } catch (error) {
      if (events === undefined) throw error
      if (signal.aborted) return
      this.#log(error)
      await events.fail(httpError(error).body)
    }
  }

  async #convert(convert: (body: unknown, options: TokenizeOptions) => object, { request, response }: Exchange) {
    const { model, tokenizer, chat, maxModelLength } = this.#options
    const body = await readJson(request, this.#options.body)
    sendJson(response, 200, convert(body, { model, tokenizer, chat, maxModelLength: maxModelLength() }))
  }

  #head(endpoint: Endpoint): ResponseHead {
    const { newId, model, clock } = this.#options
    const id = `${endpoint === 'chat' ? 'chatcmpl' : 'cmpl'}-${newId()}`
    return { endpoint, id, model, createdSeconds: Math.floor(clock() / 1000) }
  }

  #listModels(response: ServerResponse): void {
    sendJson(response, 200, { object: 'list', data: [this.#model()] })
  }

  #retrieveModel(path: string, response: ServerResponse): void {
    const { model } = this.#options
    const asked = decoded(path.slice(MODEL_PATH.length))
    if (asked !== model) throw unknownModel(asked, model)
    sendJson(response, 200, this.#model())
  }

  /** As OpenAI's, with vLLM's length. */
  #model(): object {
    const { model, maxModelLength } = this.#options
    const created = this.#startedSeconds
    const common = { id: model, object: 'model', created, owned_by: 'plateau' }
    return { ...common, root: model, parent: null, max_model_len: maxModelLength() ?? null }
  }

  /** vLLM's: nothing but the status. */
  #answerHealth(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.method !== 'GET' || pathOf(request) !== '/health') return false
    const problem = this.#options.whyNotReady()
    if (problem !== undefined) throw unavailable(problem)
    response.writeHead(200).end()
    return true
  }

  #fail(response: ServerResponse, error: unknown): void {
    // The client has gone: there is nobody to tell.
    if (response.destroyed) return
    this.#log(error)
    const { status, headers, body } = httpError(error)
    if (response.headersSent) response.destroy()
    else sendJson(response, status, body, headers)
  }

  #log(error: unknown): void {
    if (httpError(error).status === 500) this.#options.logger.error('request failed', { error })
  }
}

const MODEL_PATH = '/v1/models/'

type RequestSpan = WorkSpan<'{method} {route}'>

/** As OpenTelemetry has it: any other is "_OTHER", for a method may be any word. */
const KNOWN_METHODS = new Set(['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'QUERY', 'TRACE'])

/** By OpenTelemetry's rule a refused request is no failure of the server. */
function endSpan(span: RequestSpan, response: ServerResponse, error: unknown): void {
  const status = response.headersSent ? response.statusCode : undefined
  span.set({
    'http.response.status_code': status,
    'error.type': error === undefined ? undefined : errorCode(error),
  })
  span.end(error !== undefined && httpError(error).status >= 500 ? error : undefined)
}

/** What is not percent-encoded text names no model; it stays as it is. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

function pathOf(request: IncomingMessage): string {
  return request.url?.split('?')[0] ?? ''
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}
