import {
  bytes,
  choice,
  defineConfig,
  eventLogUrl,
  existingFile,
  flag,
  integer,
  optional,
  seconds,
  secret,
  text,
  type Values,
} from '@plateau/config'
import { kafkaRefusals } from './kafka-refusals.js'

/** Everything that says which event log to open and how: the same for every service and tool. */
export const eventLogConfig = defineConfig(
  {
    eventLog: eventLogUrl({
      env: 'PLATEAU_EVENT_LOG',
      default: 'embedded:.plateau/event-log',
      help: 'The event log that all services share.',
    }),
    eventLogSync: choice({
      env: 'PLATEAU_EVENT_LOG_SYNC',
      of: ['normal', 'full'],
      default: 'normal',
      help: 'Embedded log: what an acknowledged record survives. normal: the death of any process; full: a power cut.',
    }),
    eventLogMaxTopicBytes: optional(
      bytes({
        env: 'PLATEAU_EVENT_LOG_MAX_TOPIC_BYTES',
        help: 'Embedded log: no topic file grows beyond this. Not set: as far as the disk goes.',
      }),
    ),
    kafkaTls: flag({ env: 'PLATEAU_KAFKA_TLS', default: 'off', help: 'Kafka: connect by TLS.' }),
    kafkaCaFile: optional(
      existingFile({
        env: 'PLATEAU_KAFKA_CA_FILE',
        help: "Kafka: PEM of the authorities that sign the brokers' certificates. Not set: those that Node.js trusts.",
      }),
    ),
    kafkaCertFile: optional(
      existingFile({ env: 'PLATEAU_KAFKA_CERT_FILE', help: 'Kafka: PEM of the certificate to show (mutual TLS).' }),
    ),
    kafkaKeyFile: optional(
      existingFile({ env: 'PLATEAU_KAFKA_KEY_FILE', help: 'Kafka: PEM of the private key of that certificate.' }),
    ),
    kafkaSasl: choice({
      env: 'PLATEAU_KAFKA_SASL',
      of: ['none', 'scram-sha-512', 'oauthbearer'],
      default: 'none',
      help: 'Kafka: how to log in.',
    }),
    kafkaUsername: optional(text({ env: 'PLATEAU_KAFKA_USERNAME', help: 'Kafka: user of scram-sha-512.' })),
    kafkaPassword: optional(secret({ env: 'PLATEAU_KAFKA_PASSWORD', help: 'Kafka: password of scram-sha-512.' })),
    kafkaTokenFile: optional(
      existingFile({
        env: 'PLATEAU_KAFKA_TOKEN_FILE',
        help: 'Kafka: file with the token of oauthbearer, read again at every login.',
      }),
    ),
    kafkaTokenEndpoint: optional(
      text({
        env: 'PLATEAU_KAFKA_TOKEN_ENDPOINT',
        help: 'Kafka: URL that gives oauthbearer its tokens (OAuth 2.0 client credentials).',
      }),
    ),
    kafkaClientId: optional(
      text({ env: 'PLATEAU_KAFKA_CLIENT_ID', help: 'Kafka: client that asks the token endpoint.' }),
    ),
    kafkaClientSecret: optional(secret({ env: 'PLATEAU_KAFKA_CLIENT_SECRET', help: 'Kafka: secret of that client.' })),
    kafkaCompression: choice({
      env: 'PLATEAU_KAFKA_COMPRESSION',
      of: ['none', 'gzip', 'lz4', 'zstd'],
      default: 'none',
      help: 'Kafka: how batches are compressed. Every reader can read every kind.',
    }),
    kafkaReplication: optional(
      integer({
        env: 'PLATEAU_KAFKA_REPLICATION',
        min: 1,
        max: 100,
        help: 'Kafka: copies of a partition where the cluster has fewer brokers than the topics declare copies (3).',
      }),
    ),
    kafkaPatienceMs: seconds({
      env: 'PLATEAU_KAFKA_PATIENCE_SECONDS',
      default: 300,
      min: 1,
      help: 'Kafka: a process that only consumes ends after this long without an answer, to be restarted.',
    }),
    kafkaCreateTopics: flag({
      env: 'PLATEAU_KAFKA_CREATE_TOPICS',
      default: 'on',
      help: 'Kafka: create missing topics. off: a missing topic ends the start; an operator runs `plateau topics apply`.',
    }),
    wire: choice({
      env: 'PLATEAU_WIRE',
      of: ['raw', 'confluent'],
      default: 'raw',
      help: "Kafka: how values of public topics are written. confluent: with a schema registry's id in front. Both are read.",
    }),
    schemaRegistry: optional(
      text({
        env: 'PLATEAU_SCHEMA_REGISTRY',
        help: 'URL of the registry (Confluent API) that knows the public topics, for PLATEAU_WIRE=confluent.',
      }),
    ),
  },
  { refuse: kafkaRefusals },
)

export type EventLogConfig = Values<typeof eventLogConfig.fields>
