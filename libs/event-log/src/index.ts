export type {
  AppendedRecord,
  Batch,
  BatchControl,
  Consumer,
  ConsumerOptions,
  EventLog,
  LogRecord,
  NewRecord,
  PartitionOffset,
  PartitionRange,
  Producer,
  ProducerOptions,
  Reader,
  ReaderOptions,
} from './event-log.js'
export { deadLetterRecord } from './dead-letter.js'
export { partitionOf } from './partitioner.js'
