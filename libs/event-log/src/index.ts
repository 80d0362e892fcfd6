export type {
  AppendedRecord,
  Batch,
  BatchControl,
  Consumer,
  ConsumerOptions,
  EventLog,
  Lease,
  LeaseOptions,
  LogRecord,
  NewRecord,
  PartitionOffset,
  PartitionRange,
  Producer,
  ProducerOptions,
  Reader,
  ReaderOptions,
  TopicDifference,
} from './event-log.js'
export { deadLetterRecord } from './dead-letter.js'
export { readLag, type PartitionLag } from './lag.js'
export { partitionOf, partitionOfKey } from './partitioner.js'
export { readUpToNow } from './read-up-to-now.js'
export { untilAborted } from './until-aborted.js'
