import { PlateauError, ScoredWindow, topics } from '@plateau/contracts'
import type { EventLog, LogRecord, PartitionRange } from '@plateau/event-log'
import { windowOfTrainingId, type WindowKey } from './decision.js'
import { readFrom } from './read-tail.js'

/** What earlier runs of the scorer, this process or another, have published about one source partition. */
export interface PartitionHistory {
  /** At least the last `windows` of them where there are as many, and all from `fromOffset` on. Oldest first. */
  readonly scored: readonly ScoredWindow[]
  /** Windows from `fromOffset` on whose training record is there as well. */
  readonly trained: ReadonlySet<WindowKey>
}

export interface HistoryOptions {
  readonly sourcePartition: number
  readonly sourcePartitions: number
  /** First source offset that will be delivered (again). */
  readonly fromOffset: number
  /** How many scored windows before it are wanted. */
  readonly windows: number
}

/**
 * Reads the ends of the two output topics. Output records have their source's key, so with equal partition counts the
 * outputs of a source partition are in the partition of the same number, and only that one is read.
 */
export async function readHistory(log: EventLog, options: HistoryOptions): Promise<PartitionHistory> {
  const scored = await readScored(log, options)
  const pending = scored.filter((window) => window.sourceOffset >= options.fromOffset).length
  return { scored, trained: await readTrained(log, options, pending) }
}

async function readScored(log: EventLog, options: HistoryOptions): Promise<ScoredWindow[]> {
  const topic = topics.scoredTokens.name
  const ranges = outputRanges(await log.offsets(topic), options)
  // Usually only the last batch is uncommitted; after an operator moved the group back, much more: then look further.
  for (let depth = options.windows * 2; ; depth *= 4) {
    const records = await readFrom(log, topic, ranges, (range) => range.next - depth)
    const ours = records.flatMap(decodeScored).filter((w) => w.sourcePartition === options.sourcePartition)
    const before = ours.filter((window) => window.sourceOffset < options.fromOffset).length
    const isAll = ranges.every((range) => range.next - depth <= range.earliest)
    if (isAll || before >= options.windows) return ours.toSorted((a, b) => a.sourceOffset - b.sourceOffset)
  }
}

/** Training windows follow their scored records in the same order, so the last `pending` of them hold what matters. */
async function readTrained(log: EventLog, options: HistoryOptions, pending: number): Promise<Set<WindowKey>> {
  if (pending === 0) return new Set()
  const topic = topics.trainingWindows.name
  const ranges = outputRanges(await log.offsets(topic), options)
  // Twice, for outputs of other source partitions and of a member that lost this one while it was publishing. Should it
  // still miss one, the trainer drops the duplicate by its ce_id.
  const records = await readFrom(log, topic, ranges, (range) => range.next - 2 * pending)
  const keys = records.map((record) => windowOfTrainingId(record.headers['ce_id']))
  return new Set(keys.filter((key) => key !== undefined))
}

function outputRanges(ranges: readonly PartitionRange[], options: HistoryOptions): readonly PartitionRange[] {
  if (ranges.length === 0) throw new PlateauError('UNKNOWN_TOPIC', 'an output topic of the scorer does not exist')
  if (ranges.length !== options.sourcePartitions) return ranges
  return ranges.filter((range) => range.partition === options.sourcePartition)
}

/** A record in the public topic that is not ours to read says nothing about our decisions. */
function decodeScored(record: LogRecord): ScoredWindow[] {
  if (record.value === null) return []
  try {
    return [ScoredWindow.decode(record.value)]
  } catch {
    return []
  }
}
