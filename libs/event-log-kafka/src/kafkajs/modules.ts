/**
 * The one door to what lies below kafkajs's public API. kafkajs has been frozen at 2.2.4 since 2023 and is pinned, so its
 * insides are as stable as its surface; the types here are written by hand, for just what is used.
 */
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import type { KafkaConfig } from 'kafkajs'

const require = createRequire(import.meta.url)

export interface ProtocolRequest {
  readonly request: { readonly apiVersion: number; encode(): Promise<unknown> }
  readonly response: ResponseCodec
  readonly requestTimeout?: number
  readonly logResponseError?: boolean
}

export interface ResponseCodec {
  readonly decode: (payload: Buffer) => Promise<unknown>
  /** Throws when the answer holds an error code. */
  readonly parse: (decoded: unknown) => Promise<unknown>
}

export interface WireConnection {
  /** Since it has been connected for the first time. */
  readonly socket?: Socket
  send(request: ProtocolRequest): Promise<unknown>
  disconnect(): Promise<unknown>
  rejectRequests(error: Error): void
}

export interface ConnectionPool {
  getConnection(index: number): Promise<WireConnection>
  readonly pool: readonly WireConnection[]
}

/** Connects, authenticates, and knows which versions of each request the node speaks. */
export interface WireBroker {
  readonly brokerAddress: string
  readonly connectionPool: ConnectionPool
  connect(): Promise<void>
  lookupRequest(apiKey: number, definition: unknown): (args: object) => ProtocolRequest
}

interface Logger {
  namespace(name: string): Logger
}

interface ConnectionPoolBuilder {
  build(node: { readonly host: string; readonly port: number }): Promise<ConnectionPool>
}

type BrokerConstructor = new (options: {
  readonly connectionPool: ConnectionPool
  readonly logger: Logger
  readonly authenticationTimeout?: number | undefined
  readonly allowAutoTopicCreation: boolean
}) => WireBroker

interface CompressionModule {
  /** Undefined or null for uncompressed; throws for a codec that nobody registered. */
  readonly lookupCodecByAttributes: (
    attributes: number,
  ) => { decompress(bytes: Buffer): Promise<Buffer> } | null | undefined
}

const Broker = require('kafkajs/src/broker/index.js') as BrokerConstructor
const connectionPoolBuilder = require('kafkajs/src/cluster/connectionPoolBuilder.js') as (
  options: object,
) => ConnectionPoolBuilder
const defaultSocketFactory = require('kafkajs/src/network/socketFactory.js') as () => unknown
const { createLogger } = require('kafkajs/src/loggers/index.js') as {
  readonly createLogger: (options: {
    readonly level: KafkaConfig['logLevel']
    readonly logCreator: KafkaConfig['logCreator']
  }) => Logger
}

export const apiKeys = require('kafkajs/src/protocol/requests/apiKeys.js') as Readonly<Record<string, number>>
export const { requests } = require('kafkajs/src/protocol/requests/index.js') as {
  readonly requests: Readonly<Record<string, { readonly versions: readonly string[] }>>
}
export const { createErrorFromCode } = require('kafkajs/src/protocol/error.js') as {
  readonly createErrorFromCode: (code: number) => Error
}
export const { lookupCodecByAttributes } =
  require('kafkajs/src/protocol/message/compression/index.js') as CompressionModule

/** Makes brokers whose sockets nobody else uses. */
export function brokerFactory(config: KafkaConfig): (host: string, port: number) => Promise<WireBroker> {
  const logger = createLogger({ level: config.logLevel, logCreator: config.logCreator })
  const { socketFactory = defaultSocketFactory(), authenticationTimeout, ...rest } = config
  const builder = connectionPoolBuilder({ ...rest, logger, socketFactory, enforceRequestTimeout: true })
  return async (host, port) =>
    new Broker({
      connectionPool: await builder.build({ host, port }),
      logger,
      authenticationTimeout,
      allowAutoTopicCreation: false,
    })
}
