/** A broker's configuration as text. Pure: ports, folders and users come in, files are written elsewhere. */
import { KafkaDevError } from './errors.js'
import type { KafkaUser, NodeSettings } from './settings.js'

/** The name in the certificate that brokers show each other. */
export const brokerPrincipal = 'kafka-dev-broker'

type Properties = Record<string, string | number | boolean>

export function serverProperties(directory: string, settings: NodeSettings): string {
  return toText({
    ...identity(directory, settings),
    ...(settings.security === 'plaintext' ? plaintext(settings) : saslSsl(directory, settings)),
    ...replication(settings.voters.length),
    ...quickForTests,
    ...settings.extraProperties,
  })
}

/** What a Java client or tool of Kafka's needs to speak to this broker as its first user. */
export function clientProperties(directory: string, { security, users }: NodeSettings): string {
  if (security === 'plaintext') return toText({ 'security.protocol': 'PLAINTEXT' })
  return toText({
    'security.protocol': 'SASL_SSL',
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': `${directory}/tls/ca.pem`,
    'sasl.mechanism': 'SCRAM-SHA-512',
    'sasl.jaas.config': scramLogin(users[0]),
  })
}

export const log4jProperties = (target: 'SYSTEM_OUT' | 'SYSTEM_ERR', level: 'info' | 'warn') => `status = warn
appender.out.type = Console
appender.out.name = out
appender.out.target = ${target}
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = ${level}
rootLogger.appenderRef.out.ref = out
`

function identity(directory: string, { nodeId, voters }: NodeSettings): Properties {
  return {
    'process.roles': 'broker,controller',
    'node.id': nodeId,
    'controller.quorum.bootstrap.servers': voters.map((voter) => `127.0.0.1:${voter.controllerPort}`).join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'INTERNAL',
    'log.dirs': `${directory}/data`,
  }
}

function plaintext({ ports }: NodeSettings): Properties {
  return listeners([
    ['PLAINTEXT', 'PLAINTEXT', ports.client],
    ['CONTROLLER', 'PLAINTEXT', ports.controller],
    ['INTERNAL', 'PLAINTEXT', ports.internal],
  ])
}

/** Clients: TLS with SCRAM, PLAIN, OAUTHBEARER or a certificate. Brokers and controllers among themselves: mutual TLS. */
function saslSsl(directory: string, { ports, users }: NodeSettings): Properties {
  const passwords = users.map(({ name, password }) => `user_${name}="${password}"`).join(' ')
  return {
    ...listeners([
      ['SASL_SSL', 'SASL_SSL', ports.client],
      ['CONTROLLER', 'SSL', ports.controller],
      ['INTERNAL', 'SSL', ports.internal],
      ['MTLS', 'SSL', ports.mtls ?? 0],
      ['OAUTH', 'SASL_SSL', ports.oauth ?? 0],
    ]),
    'listener.name.sasl_ssl.sasl.enabled.mechanisms': 'SCRAM-SHA-512,SCRAM-SHA-256,PLAIN',
    'listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config': scramLogin(),
    'listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config': scramLogin(),
    'listener.name.sasl_ssl.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required ${passwords};`,
    // Believes whatever name an unsigned token bears: for the mechanism's sake only, hence a listener of its own.
    'listener.name.oauth.sasl.enabled.mechanisms': 'OAUTHBEARER',
    'listener.name.oauth.oauthbearer.sasl.jaas.config':
      'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="unused";',
    'listener.name.controller.ssl.client.auth': 'required',
    'listener.name.internal.ssl.client.auth': 'required',
    'listener.name.mtls.ssl.client.auth': 'required',
    // A certificate for CN=app is the user app.
    'ssl.principal.mapping.rules': 'RULE:^CN=([^,]+).*$/$1/,DEFAULT',
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': `${directory}/tls/broker.pem`,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': `${directory}/tls/ca.pem`,
    // Nobody may do anything without an ACL, but for the broker and the first user.
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'allow.everyone.if.no.acl.found': false,
    'super.users': `User:${brokerPrincipal};User:${users[0]?.name}`,
  }
}

function listeners(all: readonly (readonly [name: string, protocol: string, port: number])[]): Properties {
  const addresses = all.map(([name, , port]) => `${name}://127.0.0.1:${port}`).join(',')
  return {
    listeners: addresses,
    'advertised.listeners': addresses,
    'listener.security.protocol.map': all.map(([name, protocol]) => `${name}:${protocol}`).join(','),
  }
}

function replication(nodes: number): Properties {
  const inSync = Math.max(1, nodes - 1)
  return {
    'default.replication.factor': nodes,
    'min.insync.replicas': inSync,
    'offsets.topic.replication.factor': nodes,
    'transaction.state.log.replication.factor': nodes,
    'transaction.state.log.min.isr': inSync,
    'share.coordinator.state.topic.replication.factor': nodes,
    'share.coordinator.state.topic.min.isr': inSync,
    'unclean.leader.election.enable': false,
  }
}

const quickForTests: Properties = {
  // Few internal partitions: each is a folder with files, made at the first group or transaction.
  'offsets.topic.num.partitions': 4,
  'transaction.state.log.num.partitions': 4,
  'share.coordinator.state.topic.num.partitions': 4,
  // Tests must not wait for latecomers, and a misspelt topic must be an error.
  'group.initial.rebalance.delay.ms': 0,
  'auto.create.topics.enable': false,
  // After a SIGKILL the controller refuses the broker's next life until the last one's session has run out.
  'broker.session.timeout.ms': 3000,
  'broker.heartbeat.interval.ms': 500,
  'group.min.session.timeout.ms': 100,
  // Retention and compaction settle within seconds, not minutes.
  'log.initial.task.delay.ms': 500,
  'log.retention.check.interval.ms': 500,
  'log.segment.delete.delay.ms': 100,
  'log.cleaner.backoff.ms': 200,
  'log.cleaner.min.cleanable.ratio': 0.01,
  'log.cleaner.dedupe.buffer.size': 4 * 1024 * 1024,
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': 1000,
  'num.network.threads': 2,
  'num.io.threads': 4,
}

function scramLogin(user?: KafkaUser): string {
  const credentials = user === undefined ? '' : ` username="${user.name}" password="${user.password}"`
  return `org.apache.kafka.common.security.scram.ScramLoginModule required${credentials};`
}

function toText(properties: Properties): string {
  const lines = Object.entries(properties).map(([key, value]) => `${key}=${escape(String(value))}`)
  return `# Written at every start: do not edit.\n${lines.join('\n')}\n`
}

/** Java reads these files as Latin-1, and a backslash as the start of an escape. */
function escape(value: string): string {
  if (/[\r\n]/.test(value)) throw new KafkaDevError('BAD_OPTION', `a property may not hold a line break: ${value}`)
  return value
    .replaceAll('\\', '\\\\')
    .replaceAll(/[^ -~]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
