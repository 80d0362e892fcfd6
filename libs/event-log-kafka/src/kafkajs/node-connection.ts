import { PlateauError } from '@plateau/contracts'
import { closedError } from '@plateau/event-log/adapter'
import { apiKeys, type ProtocolRequest, type ResponseCodec, requests, type WireBroker } from './modules.js'
import { isAnswer } from './protocol-errors.js'
import type { Requests } from './requests.js'

export interface SendOptions {
  /** How long the node may take, where that is longer than the usual request timeout. */
  readonly timeoutMs?: number
  /** No version after it is used, though both sides know one. */
  readonly newestVersion?: number
  /** The version that `decode` reads. */
  readonly version?: number
  /** The request after its header, in place of what kafkajs would write. */
  readonly body?: Buffer
  /** Reads the answer in place of kafkajs. */
  readonly decode?: (payload: Buffer) => unknown
  /** Hands the answer back with its error codes in it; otherwise the first of them is thrown. */
  readonly withErrors?: boolean
}

/**
 * One socket to one node, connected when first needed and again after trouble. Requests go one at a time: a node answers
 * a connection's requests in order anyway, and kafkajs mistakes an answer for part of a handshake when it has to
 * authenticate anew with one in flight.
 */
export class NodeConnection {
  readonly host: string
  readonly port: number
  readonly #makeBroker: () => Promise<WireBroker>
  #broker: Promise<WireBroker> | undefined
  #last: Promise<unknown> = Promise.resolve()
  #closed: Error | undefined

  constructor(host: string, port: number, makeBroker: () => Promise<WireBroker>) {
    this.host = host
    this.port = port
    this.#makeBroker = makeBroker
  }

  send<N extends keyof Requests>(
    name: N,
    args: Requests[N]['args'],
    options: SendOptions = {},
  ): Promise<Requests[N]['answer']> {
    const sent = this.#last.then(() => this.#send(name, args, options))
    this.#last = sent.catch(() => {})
    return sent
  }

  /** What is in flight, and what comes later, is rejected with the reason. Idempotent. */
  close(reason: Error = closedError()): void {
    this.#closed ??= reason
    this.#drop(this.#broker, this.#closed)
  }

  async #send(name: string, args: object, options: SendOptions): Promise<unknown> {
    if (this.#closed !== undefined) throw this.#closed
    const made = (this.#broker ??= this.#makeBroker())
    try {
      const broker = await made
      // Each request has the pool's first socket; kafkajs would open another for fetches.
      await broker.connect()
      const wire = await broker.connectionPool.getConnection(0)
      if (this.#closed !== undefined) throw this.#closed
      return await wire.send(prepared(broker, name, args, options))
    } catch (thrown) {
      if (this.#closed !== undefined) {
        // It may have connected after it was closed.
        this.#drop(made, this.#closed)
        throw this.#closed
      }
      // No answer, a time-out for example: the socket may be dead without knowing, and kafkajs would keep it for ever.
      if (!isAnswer(thrown)) this.#drop(made, thrown instanceof Error ? thrown : closedError())
      throw thrown
    }
  }

  #drop(made: Promise<WireBroker> | undefined, reason: Error): void {
    if (this.#broker === made) this.#broker = undefined
    void made
      ?.then(async ({ connectionPool: { pool } }) => {
        for (const wire of pool) {
          wire.rejectRequests(reason)
          await wire.disconnect()
          // kafkajs only says that it will send no more; a node that is frozen would never close its side.
          wire.socket?.destroy(reason)
        }
      })
      .catch(() => {})
  }
}

function prepared(broker: WireBroker, name: string, args: object, options: SendOptions): ProtocolRequest {
  const { newestVersion, timeoutMs, version, body, decode, withErrors } = options
  const known = requests[name]
  const versions = known?.versions.filter((each) => newestVersion === undefined || Number(each) <= newestVersion)
  const definition = broker.lookupRequest(apiKeys[name] ?? -1, { ...known, versions })(args)
  if (version !== undefined && definition.request.apiVersion !== version) throw tooOld(broker, name, version)
  const decoder = decode === undefined ? definition.response.decode : async (payload: Buffer) => decode(payload)
  const asItIs = decode !== undefined || withErrors === true
  const parse: ResponseCodec['parse'] = asItIs ? async (decoded) => decoded : definition.response.parse
  return {
    ...definition,
    // kafkajs takes an encoder of its own here, and looks at nothing else of it.
    ...(body === undefined
      ? {}
      : { request: { ...definition.request, encode: async () => ({ buf: body, buffer: body }) } }),
    response: { decode: decoder, parse },
    logResponseError: false,
    ...(timeoutMs === undefined ? {} : { requestTimeout: timeoutMs }),
  }
}

function tooOld(broker: WireBroker, name: string, version: number): PlateauError {
  return new PlateauError('LOG_UNAVAILABLE', `The Kafka broker does not speak ${name} version ${version}: update it.`, {
    facts: { request: name, version, broker: broker.brokerAddress },
  })
}
