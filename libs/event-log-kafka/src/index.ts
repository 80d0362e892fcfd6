export { openKafkaEventLog } from './open-kafka-event-log.js'
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
