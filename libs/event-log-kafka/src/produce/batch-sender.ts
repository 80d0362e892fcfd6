import type { BatchRecord } from './record-batch.js'

/** Records of one partition that travel together. Never changed once it is made: what is sent again is the same batch. */
export interface PartitionBatch {
  readonly topic: string
  readonly partition: number
  readonly records: readonly BatchRecord[]
}

/** How batches get into the log: the idempotent producer, or the transactions of a lease's holder. */
export interface BatchSender {
  /**
   * Resolves with the offset of the batch's first record once all of it is durable. Called with one batch of a partition
   * at a time; batches of several partitions may be in flight together.
   */
  send(batch: PartitionBatch): Promise<number>
}
