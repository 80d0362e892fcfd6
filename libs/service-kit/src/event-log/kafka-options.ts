import { readFile } from 'node:fs/promises'
import { PlateauError } from '@plateau/contracts'
import type { KafkaLogOptions, SaslOptions, TlsOptions, Wire } from '@plateau/event-log-kafka'
import type { EventLogConfig } from './event-log-config.js'
import { latestSchemaIds } from './schema-registry.js'
import { tokensFromEndpoint, tokensFromFile } from './token-source.js'

/** The settings as the adapter wants them: files read, token source and schema ids at hand. */
export async function kafkaOptions(
  config: EventLogConfig,
  bootstrapServers: readonly string[],
): Promise<KafkaLogOptions> {
  const tls = config.kafkaTls ? await tlsOf(config) : undefined
  const sasl = saslOf(config)
  return {
    bootstrapServers,
    ...(tls === undefined ? {} : { tls }),
    ...(sasl === undefined ? {} : { sasl }),
    compression: config.kafkaCompression,
    ...(config.kafkaReplication === undefined ? {} : { replication: config.kafkaReplication }),
    createTopics: config.kafkaCreateTopics,
    timing: { consumePatienceMs: config.kafkaPatienceMs },
    wire: await wireOf(config),
  }
}

async function tlsOf({ kafkaCaFile, kafkaCertFile, kafkaKeyFile }: EventLogConfig): Promise<TlsOptions> {
  const [ca, cert, key] = await Promise.all([kafkaCaFile, kafkaCertFile, kafkaKeyFile].map(readPem))
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  }
}

async function readPem(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  const text = await readFile(path, 'utf8')
  if (text.includes('-----BEGIN ')) return text
  throw new PlateauError('CONFIG_INVALID', `${path} holds no PEM (a block that starts with -----BEGIN).`, {
    facts: { path },
  })
}

/** The configuration has refused what does not belong together: what a mechanism needs is there. */
function saslOf(config: EventLogConfig): SaslOptions | undefined {
  if (config.kafkaSasl === 'none') return undefined
  if (config.kafkaSasl === 'scram-sha-512') {
    return {
      mechanism: 'scram-sha-512',
      username: config.kafkaUsername!,
      password: config.kafkaPassword!.reveal(),
    }
  }
  const { kafkaTokenFile, kafkaTokenEndpoint, kafkaClientId, kafkaClientSecret } = config
  if (kafkaTokenFile !== undefined) return { mechanism: 'oauthbearer', token: tokensFromFile(kafkaTokenFile) }
  const client = { id: kafkaClientId!, secret: kafkaClientSecret!.reveal() }
  return {
    mechanism: 'oauthbearer',
    token: tokensFromEndpoint(kafkaTokenEndpoint!, client, Date.now),
    principal: client.id,
  }
}

/** Private and internal topics stay raw: nobody but us reads them. */
async function wireOf({ wire, schemaRegistry }: EventLogConfig): Promise<Wire> {
  if (wire === 'raw') return { kind: 'raw' }
  const { allTopics } = await import('@plateau/contracts')
  const names = allTopics.map(({ name }) => name).filter((name) => name.startsWith('public.'))
  const ids = await latestSchemaIds(schemaRegistry!, names)
  return { kind: 'confluent', schemaIdOf: (topic) => ids.get(topic) }
}
