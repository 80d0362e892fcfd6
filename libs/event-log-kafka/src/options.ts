/** How to reach a Kafka cluster, and how to behave towards it. Contents, not paths: whoever reads the configuration reads the files. */
export interface KafkaLogOptions {
  /** `host:port`, several for a cluster; any of them leads to all others. */
  readonly bootstrapServers: readonly string[]
  /** Where a broker is reached, when that is not where it says it is: behind a tunnel, or a port that is forwarded. */
  readonly addressOf?: (advertised: BrokerAddress) => BrokerAddress
  /** Shown in the brokers' logs and quotas. Default "plateau". */
  readonly clientId?: string
  /** TLS to the brokers; left out, connections are plain. */
  readonly tls?: TlsOptions
  readonly sasl?: SaslOptions
  /** What batches are compressed with on the way to the log and in it. Default none. */
  readonly compression?: Compression
  /** Copies of a partition where the cluster has fewer brokers than the declarations ask for; caps minInSyncReplicas too. */
  readonly replication?: number
  /** False: a missing topic is an error, for an operator to create. Default true. */
  readonly createTopics?: boolean
  /** Settings that new topics get besides the declared ones. For tests and odd clusters. */
  readonly topicConfig?: Readonly<Record<string, string>>
  /** How values of public topics are written. Both ways are always read. Default raw. */
  readonly wire?: Wire
  /** Hears what kafkajs and this adapter have to say. Default: nobody. */
  readonly onLog?: (entry: KafkaLogEntry) => void
  readonly nowMs?: () => number
  readonly timing?: Partial<KafkaTiming>
}

export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

export type Compression = 'none' | 'gzip' | 'lz4' | 'zstd'

/** PEM. */
export interface TlsOptions {
  /** The authorities to trust; left out, those that Node.js trusts. */
  readonly ca?: string
  /** The client's own certificate and key, where the brokers ask for one. */
  readonly cert?: string
  readonly key?: string
}

export type SaslOptions =
  | { readonly mechanism: 'scram-sha-512'; readonly username: string; readonly password: string }
  | {
      readonly mechanism: 'oauthbearer'
      /** Asked at each authentication, so that a token that was renewed meanwhile is used. */
      readonly token: () => Promise<string>
      /** Whom the token stands for, for error messages. */
      readonly principal?: string
    }

export type Wire =
  /** The Protobuf message and nothing else. */
  | { readonly kind: 'raw' }
  /** Confluent's framing, for consumers whose deserialiser asks a schema registry. Undefined: this topic stays raw. */
  | { readonly kind: 'confluent'; readonly schemaIdOf: (topic: string) => number | undefined }

export interface KafkaLogEntry {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

export interface KafkaTiming {
  /** How long a connection, TLS handshake included, may take. */
  readonly connectionTimeoutMs: number
  /** How long a broker may take to answer before the request counts as lost. */
  readonly requestTimeoutMs: number
  /** Pauses between tries grow from `retryMs` by half to `maxRetryMs`. */
  readonly retryMs: number
  readonly maxRetryMs: number
  /** How long `openKafkaEventLog` and single questions to the cluster keep trying while no broker can be reached. */
  readonly patienceMs: number
  /** How long whoever consumes, reads or stands for a lease goes on while no broker answers; then LOG_UNAVAILABLE. */
  readonly consumePatienceMs: number
  /** How long a batch waits for the records that would share it. */
  readonly lingerMs: number
  /** How long a batch is sent again before its senders get LOG_UNAVAILABLE. */
  readonly deliveryTimeoutMs: number
}

export const DEFAULT_TIMING: KafkaTiming = {
  connectionTimeoutMs: 1000,
  requestTimeoutMs: 5000,
  retryMs: 100,
  maxRetryMs: 1000,
  patienceMs: 30_000,
  consumePatienceMs: 300_000,
  lingerMs: 1,
  deliveryTimeoutMs: 120_000,
}

/** A TLS handshake and SASL's rounds on a busy machine take more than a bare connection. */
const SECURE_CONNECTION_TIMEOUT_MS = 5000

/** The options with every default filled in. */
export interface KafkaSettings {
  readonly bootstrapServers: readonly string[]
  readonly addressOf: (advertised: BrokerAddress) => BrokerAddress
  readonly clientId: string
  readonly tls: TlsOptions | undefined
  readonly sasl: SaslOptions | undefined
  readonly compression: Compression
  readonly replication: number | undefined
  readonly createTopics: boolean
  readonly topicConfig: Readonly<Record<string, string>>
  readonly wire: Wire
  readonly onLog: (entry: KafkaLogEntry) => void
  readonly nowMs: () => number
  readonly timing: KafkaTiming
}

export function settingsOf(options: KafkaLogOptions): KafkaSettings {
  const secure = options.tls !== undefined || options.sasl !== undefined
  return {
    bootstrapServers: options.bootstrapServers,
    addressOf: options.addressOf ?? ((advertised) => advertised),
    clientId: options.clientId ?? 'plateau',
    tls: options.tls,
    sasl: options.sasl,
    compression: options.compression ?? 'none',
    replication: options.replication,
    createTopics: options.createTopics ?? true,
    topicConfig: options.topicConfig ?? {},
    wire: options.wire ?? { kind: 'raw' },
    onLog: options.onLog ?? (() => {}),
    nowMs: options.nowMs ?? Date.now,
    timing: {
      ...DEFAULT_TIMING,
      ...(secure ? { connectionTimeoutMs: SECURE_CONNECTION_TIMEOUT_MS } : {}),
      ...options.timing,
    },
  }
}
