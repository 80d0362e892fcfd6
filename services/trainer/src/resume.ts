import type { CheckpointStore } from '@plateau/checkpoints'
import { topics } from '@plateau/contracts'
import { readUpToNow, type EventLog, type LogRecord, type PartitionRange } from '@plateau/event-log'
import type { WindowExpectations } from '@plateau/inference'
import type { ModelDescription } from '@plateau/model-files'
import type { Logger } from '@plateau/telemetry'
import { readTrainingWindows } from './batch-feed.js'
import { stateMismatch } from './kinds/draft-kind.js'
import type { ReplayedPlace } from './kinds/replay.js'
import { decodeSnapshot, SNAPSHOT_NAME, type Snapshot } from './snapshot.js'
import type { Traffic } from './traffic.js'
import { acceptOfTraffic, type AcceptedRecord, type RecordPlace } from './training-record.js'

export interface SnapshotParts {
  readonly log: EventLog
  readonly store: CheckpointStore
  readonly model: ModelDescription
  readonly logger: Logger
}

/** What the lineage saved last; undefined when it is new. Throws TRAINER_STATE_MISMATCH, TRAINER_STATE_INVALID. */
export async function readSnapshot(
  lineage: string,
  kind: string,
  { log, store, model, logger }: SnapshotParts,
): Promise<Snapshot | undefined> {
  const bytes = await store.readState(lineage, SNAPSHOT_NAME)
  if (bytes === undefined) {
    logger.info('no saved state, starting from what the log holds', { lineage })
    return undefined
  }
  const saved = decodeSnapshot(bytes, `the state of lineage ${lineage}`)
  const isOurs =
    saved.kind === kind && saved.targetFingerprint === model.fingerprint && saved.tokenizerHash === model.tokenizerHash
  if (isOurs) return withoutLostPartitions(saved, await log.offsets(topics.trainingWindows.name), logger)
  const { fingerprint: target } = model
  throw stateMismatch(lineage, { savedKind: saved.kind, kind, savedTarget: saved.targetFingerprint, target })
}

/**
 * Offsets beyond the end: the topic was cut or begun again. What is there is read from the beginning, rather twice than
 * never (recent windows are known by their ids), and the places of before name other windows.
 */
function withoutLostPartitions(saved: Snapshot, ranges: readonly PartitionRange[], logger: Logger): Snapshot {
  const ends = new Map(ranges.map(({ partition, next }) => [partition, next]))
  const lost = saved.offsets.filter(({ partition, offset }) => offset > (ends.get(partition) ?? 0))
  if (lost.length === 0) return saved
  for (const { partition, offset } of lost) {
    logger.warn('the log ends before the saved state: reading its partition from the beginning', {
      partition,
      offset,
      end: ends.get(partition),
    })
  }
  const isThere = ({ partition }: { readonly partition: number }): boolean =>
    !lost.some((one) => one.partition === partition)
  return {
    ...saved,
    offsets: saved.offsets.filter(isThere),
    heldOut: saved.heldOut.filter(isThere),
    calibration: saved.calibration.filter(isThere),
    waiting: saved.waiting.filter(isThere),
    learner: { ...saved.learner, replay: saved.learner.replay.filter(isThere) },
  }
}

/** Where each window goes that a snapshot refers to by its place. */
export interface HeldBackUses {
  readonly heldOut: (window: AcceptedRecord) => void
  readonly calibration: (window: AcceptedRecord) => void
  readonly waiting: (window: AcceptedRecord) => void
  readonly replay: (window: AcceptedRecord, place: ReplayedPlace) => void
}

/** Puts back the windows that a snapshot refers to, in its order, as far as the log still has them. */
export async function putBackWindows(
  log: EventLog,
  saved: Snapshot,
  { expected, traffic }: { readonly expected: WindowExpectations; readonly traffic: Traffic },
  use: HeldBackUses,
): Promise<{ readonly found: number; readonly expired: number }> {
  const needed = new Set(placesIn(saved).map(keyOf))
  const windows = new Map<string, AcceptedRecord>()
  for await (const record of recordsBefore(log, saved)) {
    if (!needed.has(keyOf(record))) continue
    // Settings may have changed since: what is not learned from any more is not put back.
    const window = acceptOfTraffic(record, expected, traffic)
    if (window !== undefined) windows.set(keyOf(record), window)
  }
  const putBack = <P extends RecordPlace>(
    places: readonly P[],
    take: (window: AcceptedRecord, place: P) => void,
  ): void => {
    for (const place of places) {
      const window = windows.get(keyOf(place))
      if (window !== undefined) take(window, place)
    }
  }
  putBack(saved.heldOut, use.heldOut)
  putBack(saved.calibration, use.calibration)
  putBack(saved.waiting, use.waiting)
  putBack(saved.learner.replay, use.replay)
  return { found: windows.size, expired: needed.size - windows.size }
}

function placesIn({ heldOut, calibration, waiting, learner }: Snapshot): RecordPlace[] {
  return [...heldOut, ...calibration, ...waiting, ...learner.replay]
}

function keyOf({ partition, offset }: RecordPlace): string {
  return `${partition}/${offset}`
}

/** From the oldest window that a snapshot refers to up to its offsets. */
async function* recordsBefore(log: EventLog, saved: Snapshot): AsyncGenerator<LogRecord> {
  const oldest = new Map(saved.offsets.map(({ partition, offset }) => [partition, offset]))
  for (const { partition, offset } of placesIn(saved)) {
    oldest.set(partition, Math.min(offset, oldest.get(partition) ?? offset))
  }
  const ends = new Map(saved.offsets.map(({ partition, offset }) => [partition, offset]))
  const ranges = await log.offsets(topics.trainingWindows.name)
  // Partitions that nothing was consumed of are not read here.
  const from = ranges.map(({ partition, next }) => ({ partition, offset: oldest.get(partition) ?? next }))
  const reader = readTrainingWindows(log, from)
  const open = new Set(
    ranges
      .filter(({ partition, earliest, next }) => {
        const start = Math.max(earliest, oldest.get(partition) ?? next)
        return start < Math.min(next, ends.get(partition) ?? 0)
      })
      .map(({ partition }) => partition),
  )
  if (open.size === 0) return reader.close()
  // What expired meanwhile never comes.
  for await (const { partition, records } of readUpToNow(reader)) {
    const end = ends.get(partition) ?? 0
    for (const record of records) if (record.offset < end) yield record
    // The next batch of this partition begins at or after its end, or there is none.
    if ((records.at(-1)?.offset ?? end) + 1 >= end) open.delete(partition)
    if (open.size === 0) break
  }
}
