import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { messageOf, PlateauError } from '@plateau/contracts'
import type { KafkaConfig } from 'kafkajs'
import { registerCodecs } from './codecs/codecs.js'
import { kafkaConfig } from './kafka-config.js'
import { type Attempt, asLogError, type Identity } from './kafka-errors.js'
import { KafkaCluster } from './kafkajs/kafka-cluster.js'
import type { KafkaSettings, TlsOptions } from './options.js'
import { persist } from './persist.js'
import { TopicCatalog } from './topics/topic-catalog.js'
import { type WireFormat, wireFormat } from './wire-format.js'

/** What every part of an open log shares. */
export interface KafkaConnection {
  readonly settings: KafkaSettings
  /** How to make another cluster. */
  readonly config: KafkaConfig
  /** For questions and administration. */
  readonly cluster: KafkaCluster
  /** How values are written and read back. */
  readonly wire: WireFormat
  /** Which topics there are; throws UNKNOWN_TOPIC. */
  readonly topics: TopicCatalog
  /** Turns what kafkajs threw into an error of ours that says what was attempted, and as whom. */
  error(thrown: unknown, attempt: Attempt): PlateauError
  /** Does it until it works, as long as trying again can help and `patienceMs` has not passed. */
  persist<T>(attempt: Attempt, action: () => Promise<T>): Promise<T>
  close(): void
}

/** Connects, so that what cannot work (no broker there, a wrong password, a wrong certificate) is known at once. */
export async function connect(settings: KafkaSettings): Promise<KafkaConnection> {
  registerCodecs()
  if (settings.tls !== undefined) checkPem(settings.tls)
  const connection = unconnected(settings)
  try {
    await connection.persist({ doing: `be reached at ${settings.bootstrapServers.join(', ')}` }, () =>
      connection.cluster.metadata([]),
    )
  } catch (thrown) {
    connection.close()
    throw thrown
  }
  return connection
}

/** Connects when first asked. */
export function unconnected(settings: KafkaSettings): KafkaConnection {
  const config = kafkaConfig(settings)
  const cluster = new KafkaCluster(config)
  const identity: Identity = { principal: principalOf(settings), bootstrapServers: settings.bootstrapServers }
  const error = (thrown: unknown, attempt: Attempt) => asLogError(thrown, attempt, identity)
  const connection: KafkaConnection = {
    settings,
    config,
    cluster,
    topics: new TopicCatalog(cluster, (attempt, action) => connection.persist(attempt, action)),
    wire: wireFormat(settings.wire),
    error,
    persist: (attempt, action) => persist(action, (thrown) => error(thrown, attempt), settings.timing),
    close: () => cluster.close(),
  }
  return connection
}

/** kafkajs would take a key that cannot be read for a broker that cannot be reached, and try again. */
function checkPem(tls: TlsOptions): void {
  try {
    createSecureContext(tls)
  } catch (thrown) {
    throw new PlateauError('LOG_TLS_FAILED', `The certificate or key for Kafka cannot be used: ${messageOf(thrown)}.`, {
      cause: thrown,
    })
  }
}

function principalOf({ sasl, tls }: KafkaSettings): string | undefined {
  if (sasl?.mechanism === 'scram-sha-512') return `user ${sasl.username}`
  if (sasl !== undefined) return sasl.principal === undefined ? 'the token' : `user ${sasl.principal}`
  return tls?.cert === undefined ? undefined : `certificate ${subjectOf(tls.cert)}`
}

function subjectOf(certificate: string): string {
  return new X509Certificate(certificate).subject.replaceAll('\n', ', ')
}
