import { readUpToNow, type EventLog, type LogRecord, type PartitionRange } from '@plateau/event-log'

/**
 * The records of some partitions from given offsets on, as far as the topic reached when this was called. Other
 * partitions are not read.
 */
export async function readFrom(
  log: EventLog,
  topic: string,
  ranges: readonly PartitionRange[],
  startOf: (range: PartitionRange) => number,
): Promise<LogRecord[]> {
  const starts = new Map(ranges.map((range) => [range.partition, Math.max(range.earliest, startOf(range))]))
  const records: LogRecord[] = []
  if (ranges.every((range) => starts.get(range.partition)! >= range.next)) return records
  const all = await log.offsets(topic)
  const from = all.map(({ partition, next }) => ({ partition, offset: starts.get(partition) ?? next }))
  for await (const batch of readUpToNow(log.reader({ topic, from }))) {
    if (starts.has(batch.partition)) records.push(...batch.records)
  }
  return records
}
