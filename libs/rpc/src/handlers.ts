/** gRPC handlers as async functions and generators: errors become statuses, cancellation becomes an AbortSignal. */
import { once } from 'node:events'
import {
  status,
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Deadline,
  type Metadata,
  type ServerUnaryCall,
  type StatusObject,
} from '@grpc/grpc-js'
import { PlateauError } from '@plateau/contracts'
import type { PeerCertificate } from 'node:tls'
import { toStatus } from './rpc-error.js'

/** setTimeout's; a deadline beyond it is none. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export interface CallContext {
  /** Aborted when the client cancelled, went away, or its deadline passed. */
  readonly signal: AbortSignal
  /** W3C trace context of the caller. */
  readonly traceparent: string | undefined
  /** What the caller sent along under this name ("authorization"); the first value where there are several. */
  readonly metadata: (name: string) => string | undefined
  /** The caller's certificate, its chain verified; undefined without TLS. */
  readonly certificate: () => PeerCertificate | undefined
}

/** Hears about every error that travels as INTERNAL: it is ours to look at, and the client cannot do anything about it. */
export type ReportError = (error: unknown, path: string) => void

export function unary<Request, Response>(
  handle: (request: Request, context: CallContext) => Promise<Response>,
  report: ReportError,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const { context, done } = observe(call)
    handle(call.request, context)
      .then(
        (response) => callback(null, response),
        (error: unknown) => callback(failure(error, call, report)),
      )
      .finally(done)
  }
}

export function serverStream<Request, Response>(
  handle: (request: Request, context: CallContext) => AsyncIterable<Response>,
  report: ReportError,
): handleServerStreamingCall<Request, Response> {
  return (call) => void respond(call, (context) => handle(call.request, context), report)
}

/** The requests end when the client half-closes or is gone. */
export function bidiStream<Request, Response>(
  handle: (requests: AsyncIterable<Request>, context: CallContext) => AsyncIterable<Response>,
  report: ReportError,
): handleBidiStreamingCall<Request, Response> {
  return (call) => {
    // A handler that stops reading must not take the stream down: its answer or error is still to be sent.
    const requests = call.iterator({ destroyOnReturn: false })
    void respond(call, (context) => handle(requestsOf<Request>(requests), context), report)
  }
}

type AuthContext = ReturnType<ServerUnaryCall<unknown, unknown>['getAuthContext']>

interface ObservedCall {
  readonly metadata: Metadata
  on(event: 'cancelled', listener: () => void): unknown
  getPath(): string
  getDeadline(): Deadline
  getAuthContext(): AuthContext
}

interface WritableCall<Response> extends ObservedCall {
  write(message: Response): boolean
  end(): unknown
  emit(event: 'error', status: StatusObject): boolean
  on(event: string, listener: () => void): unknown
}

async function respond<Response>(
  call: WritableCall<Response> & NodeJS.EventEmitter,
  handle: (context: CallContext) => AsyncIterable<Response>,
  report: ReportError,
): Promise<void> {
  const { context, done } = observe(call)
  // Writing to a call that the client has just left is not a fault of either side.
  call.on('error', () => {})
  try {
    for await (const response of handle(context)) {
      if (context.signal.aborted) return
      if (!call.write(response)) await once(call, 'drain', { signal: context.signal })
    }
    call.end()
  } catch (error) {
    if (!context.signal.aborted) call.emit('error', failure(error, call, report))
  } finally {
    done()
  }
}

/** A client that is gone ends its requests; the signal says so, a little later or earlier. */
async function* requestsOf<Request>(call: AsyncIterable<unknown>): AsyncIterable<Request> {
  try {
    for await (const request of call) yield request as Request
  } catch {
    // The call was torn down between two requests.
  }
}

/** `done` lets go of the deadline; the handler has ended. */
function observe(call: ObservedCall): { readonly context: CallContext; readonly done: () => void } {
  const abort = new AbortController()
  call.on('cancelled', () => abort.abort(new PlateauError('CANCELLED', 'the client has cancelled the call')))
  const stopClock = atDeadline(call, () => {
    abort.abort(new PlateauError('DEADLINE_EXCEEDED', "the call's deadline has passed", { retryable: true }))
  })
  const metadata = (name: string): string | undefined => call.metadata.get(name)[0]?.toString()
  const certificate = (): PeerCertificate | undefined => call.getAuthContext().sslPeerCertificate
  const context = { signal: abort.signal, traceparent: metadata('traceparent'), metadata, certificate }
  return { context, done: stopClock }
}

/**
 * grpc-js ends a call at its deadline, but tells the handler only when its last bytes have left, which a client that does
 * not read can put off for ever.
 */
function atDeadline(call: ObservedCall, act: () => void): () => void {
  const leftMs = Number(call.getDeadline()) - Date.now()
  if (!(leftMs <= LONGEST_TIMER_MS)) return () => {}
  const timer = setTimeout(act, Math.max(0, leftMs))
  return () => clearTimeout(timer)
}

function failure(error: unknown, call: ObservedCall, report: ReportError): StatusObject & Error {
  const sent = toStatus(error)
  if (sent.code === status.INTERNAL) report(error, call.getPath())
  return Object.assign(new Error(sent.details), sent)
}
