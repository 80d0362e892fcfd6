import type { Message } from 'kafkajs'

/** Records of one partition that travel together, in the form kafkajs takes them. Never changed once it is made. */
export interface PartitionBatch {
  readonly topic: string
  readonly partition: number
  readonly messages: readonly PlacedMessage[]
}

/** Every field is set, so that a batch sent again is the same batch. */
export type PlacedMessage = Required<Pick<Message, 'key' | 'value' | 'headers' | 'timestamp'>>

/** How batches get into the log: the idempotent producer, or the transactions of a lease's holder. */
export interface BatchSender {
  /**
   * Resolves with the offset of the batch's first record once all of it is durable. Called with one batch of a partition
   * at a time; batches of several partitions may be in flight together.
   */
  send(batch: PartitionBatch): Promise<number>
  close(): Promise<void>
}
