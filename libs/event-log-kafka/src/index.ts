export { leasesTopic } from './lease/leases-topic.js'
export { openKafkaEventLog } from './open-kafka-event-log.js'
export { creationConfig } from './topics/topic-settings.js'
export type {
  BrokerAddress,
  Compression,
  KafkaLogEntry,
  KafkaLogOptions,
  KafkaTiming,
  SaslOptions,
  TlsOptions,
  Wire,
} from './options.js'
