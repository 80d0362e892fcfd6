export { openKafkaEventLog } from './open-kafka-event-log.js'
export type {
  Compression,
  KafkaLogEntry,
  KafkaLogOptions,
  KafkaTiming,
  SaslOptions,
  TlsOptions,
  Wire,
} from './options.js'
