import { partitionOfKey } from '@plateau/event-log'
import type { TopicFacts } from '../topics/topic-catalog.js'
import type { BatchSender } from './batch-sender.js'
import { type LaneRecord, PartitionLane } from './partition-lane.js'

/** One lane for each partition that was ever appended to through one sender. */
export class PartitionLanes {
  readonly #sender: BatchSender
  readonly #lingerMs: number
  readonly #byTopic = new Map<string, (PartitionLane | undefined)[]>()

  constructor(sender: BatchSender, { lingerMs }: { readonly lingerMs: number }) {
    this.#sender = sender
    this.#lingerMs = lingerMs
  }

  add({ name: topic, partitions, maxBatchBytes }: TopicFacts, record: LaneRecord): void {
    let lanes = this.#byTopic.get(topic)
    if (lanes === undefined) {
      lanes = []
      this.#byTopic.set(topic, lanes)
    }
    const partition = partitionOfKey(record.key, partitions)
    const lane = (lanes[partition] ??= new PartitionLane({ topic, partition }, this.#sender, {
      lingerMs: this.#lingerMs,
      maxBatchBytes,
    }))
    lane.add(record)
  }
}
