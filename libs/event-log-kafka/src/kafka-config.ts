import net, { isIP } from 'node:net'
import tls from 'node:tls'
import kafkajs, { type ISocketFactory, type KafkaConfig, type LogEntry } from 'kafkajs'
import { bearerAuthentication } from './bearer-authentication.js'
import type { KafkaLogEntry, KafkaSettings, SaslOptions } from './options.js'

/** kafkajs's own tries before it hands an error up; whoever called decides how long to go on. */
const RETRIES = 5

export function kafkaConfig(settings: KafkaSettings): KafkaConfig {
  const { timing, tls, sasl } = settings
  return {
    brokers: [...settings.bootstrapServers],
    clientId: settings.clientId,
    connectionTimeout: timing.connectionTimeoutMs,
    authenticationTimeout: timing.requestTimeoutMs,
    requestTimeout: timing.requestTimeoutMs,
    retry: { initialRetryTime: timing.retryMs, multiplier: 1.5, maxRetryTime: timing.maxRetryMs, retries: RETRIES },
    socketFactory: socketFactory(settings),
    logLevel: kafkajs.logLevel.INFO,
    logCreator: () => (entry) => settings.onLog(quieted(entry)),
    ...(tls === undefined ? {} : { ssl: { ...tls } }),
    ...(sasl === undefined ? {} : { sasl: saslConfig(sasl) }),
  }
}

const KEEP_ALIVE_MS = 60_000

function socketFactory({ addressOf }: KafkaSettings): ISocketFactory {
  return ({ host, port, ssl, onConnect }) => {
    const address = addressOf({ host, port })
    // The certificate is the advertised host's, wherever it is reached.
    const servername = isIP(host) ? {} : { servername: host }
    const socket = ssl ? tls.connect({ ...address, ...servername, ...ssl }, onConnect) : net.connect(address, onConnect)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.setNoDelay(true)
    return socket
  }
}

function saslConfig(sasl: SaslOptions): NonNullable<KafkaConfig['sasl']> {
  if (sasl.mechanism === 'scram-sha-512') return { ...sasl }
  return { mechanism: 'oauthbearer', authenticationProvider: bearerAuthentication(() => sasl.token()) }
}

/**
 * kafkajs reports each try that fails as an error, although the next one mends it; what does not mend reaches the caller
 * as a thrown error. So nothing of what it says is worth more than debug.
 */
function quieted({ namespace, log }: LogEntry): KafkaLogEntry {
  const { message, timestamp: _timestamp, logger: _logger, stack: _stack, ...fields } = log
  return { level: 'debug', message: `kafkajs: ${message}`, fields: { namespace, ...fields } }
}
