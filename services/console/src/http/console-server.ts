import type { Logger } from '@plateau/telemetry'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { messagePage } from '../pages/layout.js'
import type { Site } from '../site.js'
import { refusalOf } from './access.js'
import { htmlAnswer, securityHeaders, send, type Answer } from './answers.js'
import type { EventStreams } from './event-streams.js'

export interface ConsoleServerOptions {
  readonly host: string
  readonly port: number
  /** Undefined: anyone on this machine may read. */
  readonly token: string | undefined
  readonly site: Site
  readonly streams: EventStreams
  readonly logger: Logger
  readonly onAnswered: (status: number) => void
}

const MAX_CONNECTIONS = 256
/** A browser sends its headers at once, and no body. */
const SLOW = { headersTimeout: 10_000, requestTimeout: 10_000, connectionsCheckingInterval: 1_000 }

/** The door: GET and HEAD only, every answer with the same security headers. */
export class ConsoleServer {
  readonly #options: ConsoleServerOptions
  readonly #server: Server

  constructor(options: ConsoleServerOptions) {
    this.#options = options
    this.#server = createServer(SLOW, (request, response) => void this.#answer(request, response))
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

  /** Pages are made in milliseconds: nothing is waited for. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#options.streams.close()
    this.#server.closeAllConnections()
    await closed
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value)
    response.on('finish', () => this.#options.onAnswered(response.statusCode))
    try {
      const answer = await this.#answerOf(request, response)
      if (answer !== undefined) send(response, answer)
    } catch (error) {
      this.#options.logger.error('page not made', { error })
      if (response.headersSent) response.destroy()
      else send(response, this.#message(500, 'This page could not be made', 'The log of the console says why.'))
    }
  }

  /** Undefined when the answer is on its way already. */
  async #answerOf(request: IncomingMessage, response: ServerResponse): Promise<Answer | undefined> {
    const { token, site, streams } = this.#options
    const refusal = refusalOf(request, token)
    if (refusal !== undefined) return refusals[refusal]
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return this.#message(405, 'Read only', 'The console answers GET and HEAD: it shows, and changes nothing.', {
        allow: 'GET, HEAD',
      })
    }
    const url = urlOf(request)
    if (url?.pathname === '/events' && request.method === 'GET') {
      if (streams.open(request, response)) return undefined
      return this.#message(503, 'Too many pages are open', 'This one shows what it shows until it is loaded again.')
    }
    const answer = url === undefined ? undefined : await site.answer(url, request.headers['if-none-match'])
    return answer ?? this.#message(404, 'Nothing here', 'There is no page, lineage or version of this name.')
  }

  #message(status: number, title: string, sentence: string, headers: Readonly<Record<string, string>> = {}): Answer {
    return htmlAnswer(messagePage(title, sentence, this.#options.site.sources()), status, headers)
  }
}

/** Before anybody is known to be allowed in, nothing of what is inside is said. */
const refusals = {
  'needs token': {
    status: 401,
    type: 'text/plain; charset=utf-8',
    body: 'The console asks for its token, as the password of any user name.\n',
    headers: { 'www-authenticate': 'Basic realm="Plateau console", charset="UTF-8"' },
  },
  'wrong host': {
    status: 421,
    type: 'text/plain; charset=utf-8',
    body: 'The console is for this machine: ask for it by 127.0.0.1 or localhost, or give it a token.\n',
  },
} as const

function urlOf({ url = '' }: IncomingMessage): URL | undefined {
  // The host is of no concern; a target such as "//elsewhere" is no path of ours.
  return url.startsWith('/') && !url.startsWith('//') && URL.canParse(url, 'http://console')
    ? new URL(url, 'http://console')
    : undefined
}
