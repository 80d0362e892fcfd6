/** Clients as promises and async iterables. Every error they throw is a PlateauError with the server's code and facts. */
import { once } from 'node:events'
import { isIP } from 'node:net'
import {
  credentials,
  Metadata,
  waitForClientReady,
  type CallOptions,
  type ChannelCredentials,
  type Client,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientReadableStream,
  type ServiceError,
} from '@grpc/grpc-js'
import { PlateauError } from '@plateau/contracts'
import { fromServiceError } from './rpc-error.js'
import { channelOptions, type RpcLimits } from './server.js'
import { clientCredentials, type ClientTls } from './transport-security.js'

export type ClientConstructor<T extends Client> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: Partial<ClientOptions>,
) => T

export interface ChannelSettings {
  readonly limits?: RpcLimits | undefined
  /** Default: plaintext. */
  readonly tls?: ClientTls | undefined
}

/** A channel to "host:port" or "unix:/path". It connects when first used and again, within 2 s, after a restart. */
export function createClient<T extends Client>(
  make: ClientConstructor<T>,
  address: string,
  { limits, tls }: ChannelSettings = {},
): T {
  return new make(address, tls === undefined ? credentials.createInsecure() : clientCredentials(tls, hostOf(address)), {
    ...channelOptions(limits),
    // TLS knows no addresses as server names, and grpc-js would send one.
    ...(tls !== undefined && isIP(hostOf(address)) !== 0 ? { 'grpc.ssl_target_name_override': 'address.invalid' } : {}),
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 2000,
    // Plateau's services talk inside one machine or cluster, whatever proxy the environment names.
    'grpc.enable_http_proxy': 0,
  })
}

function hostOf(address: string): string {
  return address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
}

/** Resolves when the channel is connected; throws UNAVAILABLE after `timeoutMs`. */
export function ready(client: Client, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    waitForClientReady(client, Date.now() + timeoutMs, (error) => {
      if (!error) return resolve()
      const address = client.getChannel().getTarget()
      const message = `${address} did not answer within ${timeoutMs} ms`
      reject(new PlateauError('UNAVAILABLE', message, { facts: { address, timeoutMs }, retryable: true, cause: error }))
    })
  })
}

/** Of a call that names none: nothing waits for ever by mistake. */
const DEFAULT_DEADLINE_MS = 60_000

export interface CallSettings {
  /** From now; default 60 000. Infinity: for as long as both ends live. */
  readonly deadlineMs?: number
  /** Aborting cancels the call at both ends. */
  readonly signal?: AbortSignal
  /** Wait for a server that is starting or restarting instead of failing at once; bounded by the deadline. */
  readonly waitForReady?: boolean
  /** Sent along, by name: { authorization: 'Bearer ...' }. */
  readonly metadata?: Readonly<Record<string, string>>
}

type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Response) => void,
) => { cancel(): void }

/** `await callUnary(client.describe.bind(client), request)`: bound like this, both types are inferred. */
export function callUnary<Request, Response>(
  method: Unary<Request, Response>,
  request: Request,
  settings: CallSettings = {},
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const call = method(request, metadataOf(settings), optionsOf(settings), (error, response) => {
      forget()
      if (error) reject(fromServiceError(error))
      else resolve(response)
    })
    const forget = cancelOn(settings.signal, call)
  })
}

/** Messages of a server stream. Leaving the loop early cancels the call. */
export async function* callServerStream<Request, Response>(
  method: (request: Request, metadata: Metadata, options: Partial<CallOptions>) => ClientReadableStream<Response>,
  request: Request,
  settings: CallSettings = {},
): AsyncGenerator<Response, void, undefined> {
  const call = method(request, metadataOf(settings), optionsOf(settings))
  yield* messagesOf<Response>(call, settings.signal)
}

export interface BidiCall<Request, Response> {
  /** Resolves when the transport takes more: backpressure. */
  send(request: Request): Promise<void>
  /** The next response; undefined when the server has ended the call. */
  receive(): Promise<Response | undefined>
  /** No more requests; the server may still answer. */
  end(): void
  /** No more requests, and what the server still says is not listened to; a server that says no end is cancelled. */
  finish(): void
  /** Ends both directions at once: resets the stream. A server that is sent many resets (1,000 and 33 a second) closes the connection. */
  cancel(): void
}

export function callBidi<Request, Response>(
  method: (metadata: Metadata, options: Partial<CallOptions>) => ClientDuplexStream<Request, Response>,
  settings: CallSettings = {},
): BidiCall<Request, Response> {
  const call = method(metadataOf(settings), optionsOf(settings))
  const messages = messagesOf<Response>(call, settings.signal)
  return {
    send: async (request) => {
      // A call that has ended says why where its responses are read.
      if (call.writableEnded || call.destroyed) return
      if (!call.write(request)) await Promise.race([once(call, 'drain'), once(call, 'close')]).catch(() => {})
    },
    receive: async () => {
      const next = await messages.next()
      return next.done ? undefined : next.value
    },
    end: () => call.end(),
    finish: () => {
      call.end()
      const timer = setTimeout(() => call.cancel(), FINISH_MS).unref()
      void drained(messages).finally(() => clearTimeout(timer))
    },
    cancel: () => call.cancel(),
  }
}

/** How long a server may take to end a call that its client has finished. */
const FINISH_MS = 5_000

async function drained(messages: AsyncIterable<unknown>): Promise<void> {
  try {
    for await (const _ of messages);
  } catch {
    // Nobody listens any more.
  }
}

interface CancellableStream extends AsyncIterable<unknown> {
  cancel(): void
  on(event: 'error', listener: () => void): unknown
}

function messagesOf<Response>(
  call: CancellableStream,
  signal?: AbortSignal,
): AsyncGenerator<Response, void, undefined> {
  // The error reaches whoever reads; without a listener one that nobody reads would end the process.
  call.on('error', () => {})
  const forget = cancelOn(signal, call)
  return (async function* () {
    let isOver = false
    try {
      for await (const message of call) yield message as Response
      isOver = true
    } catch (error) {
      isOver = true
      throw fromServiceError(error)
    } finally {
      forget()
      // Of a call that the server has ended there is nothing to cancel, and a reset would count against this client.
      if (!isOver) call.cancel()
    }
  })()
}

function metadataOf({ waitForReady = false, metadata = {} }: CallSettings): Metadata {
  const sent = new Metadata({ waitForReady })
  for (const [name, value] of Object.entries(metadata)) sent.set(name, value)
  return sent
}

function optionsOf({ deadlineMs = DEFAULT_DEADLINE_MS }: CallSettings): Partial<CallOptions> {
  return { deadline: Date.now() + deadlineMs }
}

function cancelOn(signal: AbortSignal | undefined, call: { cancel(): void }): () => void {
  const cancel = (): void => call.cancel()
  if (signal?.aborted) cancel()
  signal?.addEventListener('abort', cancel, { once: true })
  return () => signal?.removeEventListener('abort', cancel)
}
