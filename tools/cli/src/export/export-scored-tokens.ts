import { messageOf, PlateauError, topics } from '@plateau/contracts'
import type { Batch, EventLog, LogRecord, PartitionOffset, PartitionRange } from '@plateau/event-log'
import type { RowKind } from './columns.js'
import type { ExportDirectory } from './export-directory.js'
import { exportedWindow, type ExportedWindow } from './exported-window.js'
import { parquetFile } from './parquet-file.js'
import { PartitionBuffer } from './partition-buffer.js'
import { readIds } from './read-ids.js'
import { SeenIds } from './seen-ids.js'
import { ticking } from './ticking.js'

export interface ExportOptions {
  readonly kind: RowKind
  readonly rowsPerFile: number
  /** Until what the topic holds now, or until the signal. */
  readonly follow: boolean
  /** While following: a row waits at most this long for its file to fill. */
  readonly fileAgeMs: number
  /** Partitions without a file begin at the first record that is not older. */
  readonly sinceMs: number | undefined
  /** Group under which the export's offsets are written down, so that its lag shows. */
  readonly group: string | undefined
  readonly now: () => number
  readonly signal: AbortSignal
  say(line: string): void
}

export interface ExportResult {
  files: number
  windows: number
  rows: number
  /** Redelivered facts that were left out. */
  duplicates: number
  /** Records that are no scored window of a schema that this build knows. */
  skipped: number
  /** Offsets that retention removed between the last file and this run. */
  expired: number
  /** False when it was interrupted before it reached the end. */
  isComplete: boolean
}

const TOPIC = topics.scoredTokens.name
/** Encoded, of all partitions together; decoded and on the way into a file they take many times as much. */
const MAX_BUFFERED_BYTES = 16 * 1024 * 1024
const REMEMBERED_IDS = 100_000
/** Read back when a run begins. Redelivery comes soon or not at all, and small files would be many. */
const REMEMBERED_FILES = 500
const MAX_SKIPPED_NAMED = 10

/**
 * Writes the topic's records into the directory's files, each fact once. What protects that: a file appears whole, its
 * name says which offsets it covers, and a run goes on after the highest one (nothing twice, nothing missing); a fact
 * that the topic holds twice is known by its ce_id, of which the newest of each partition are remembered, across runs
 * by reading them back from the newest files.
 */
export async function exportScoredTokens(
  log: EventLog,
  directory: ExportDirectory,
  options: ExportOptions,
): Promise<ExportResult> {
  const held = await log.offsets(TOPIC)
  const run = new ExportRun(log, directory, options)
  const from = await run.begin(held)
  const reader = log.reader({ topic: TOPIC, from })
  const stop = () => void reader.close()
  let caughtUp = false
  options.signal.addEventListener('abort', stop)
  if (!options.follow) {
    const atEnd = () => ((caughtUp = true), stop())
    void reader.caughtUp.then(atEnd, () => {})
  }
  try {
    if (options.signal.aborted) stop()
    for await (const batch of ticking(reader, options.fileAgeMs)) {
      if (batch !== undefined) await run.take(batch)
      if (options.follow) await run.writeOld()
    }
    await run.writeAll()
    // A reader that ended for another reason tells it here.
    if (!options.follow && !options.signal.aborted) await reader.caughtUp
  } finally {
    options.signal.removeEventListener('abort', stop)
    await reader.close()
  }
  return { ...run.result, isComplete: options.follow || caughtUp }
}

class ExportRun {
  readonly result: ExportResult = {
    files: 0,
    windows: 0,
    rows: 0,
    duplicates: 0,
    skipped: 0,
    expired: 0,
    isComplete: false,
  }
  readonly #log: EventLog
  readonly #directory: ExportDirectory
  readonly #options: ExportOptions
  readonly #buffers = new Map<number, PartitionBuffer>()
  readonly #seen = new Map<number, SeenIds>()
  /** Partitions whose first record that is new enough has not come yet. */
  readonly #waiting = new Set<number>()

  constructor(log: EventLog, directory: ExportDirectory, options: ExportOptions) {
    this.#log = log
    this.#directory = directory
    this.#options = options
  }

  /** Where to read on, partition by partition. */
  async begin(held: readonly PartitionRange[]): Promise<PartitionOffset[]> {
    const from: PartitionOffset[] = []
    for (const range of held) {
      const { partition } = range
      const offset = this.#startOf(range)
      this.#buffers.set(partition, new PartitionBuffer(partition, offset))
      this.#seen.set(partition, await this.#remembered(partition))
      from.push({ partition, offset })
    }
    return from
  }

  async take({ partition, records }: Batch): Promise<void> {
    const buffer = this.#buffers.get(partition)!
    for (const record of records) {
      if (this.#isTooOld(record)) buffer.cover(record)
      else {
        buffer.cover(record)
        this.#add(buffer, record)
      }
      if (buffer.rows >= this.#options.rowsPerFile) await this.#write(buffer)
    }
    while (this.#bufferedBytes() > MAX_BUFFERED_BYTES) await this.#write(this.#largest())
  }

  async writeOld(): Promise<void> {
    const latest = this.#options.now() - this.#options.fileAgeMs
    for (const buffer of this.#buffers.values()) {
      if (buffer.rows > 0 && buffer.sinceMs <= latest) await this.#write(buffer)
    }
  }

  async writeAll(): Promise<void> {
    for (const buffer of this.#buffers.values()) await this.#write(buffer)
  }

  #startOf({ partition, earliest, next }: PartitionRange): number {
    const after = this.#directory.nextOffset(partition)
    if (after === undefined) {
      if (this.#options.sinceMs !== undefined) this.#waiting.add(partition)
      return Math.max(earliest, this.#directory.manifest.starts[partition] ?? earliest)
    }
    if (after > next) {
      throw new PlateauError(
        'EXPORT_DIRECTORY',
        `${this.#directory.path} goes up to offset ${after - 1} of partition ${partition}, but ${TOPIC} ends at ${next - 1}: it was written from another log`,
      )
    }
    const lost = Math.max(0, earliest - after)
    if (lost > 0) {
      this.result.expired += lost
      this.#options.say(`partition ${partition}: offsets ${after} to ${earliest - 1} expired before they were exported`)
    }
    return Math.max(after, earliest)
  }

  async #remembered(partition: number): Promise<SeenIds> {
    const newestFirst: string[][] = []
    let count = 0
    for (const path of this.#directory.newestFiles(partition).slice(0, REMEMBERED_FILES)) {
      if (count >= REMEMBERED_IDS) break
      const ids = [...new Set(await readIds(path))]
      newestFirst.push(ids)
      count += ids.length
    }
    const seen = new SeenIds(REMEMBERED_IDS)
    for (const ids of newestFirst.toReversed()) for (const id of ids) seen.add(id)
    return seen
  }

  #isTooOld({ partition, timestampMs }: LogRecord): boolean {
    if (!this.#waiting.has(partition)) return false
    if (timestampMs < this.#options.sinceMs!) return true
    this.#waiting.delete(partition)
    return false
  }

  #add(buffer: PartitionBuffer, record: LogRecord): void {
    const window = this.#windowOf(record)
    if (window === undefined) return
    if (!this.#seen.get(record.partition)!.add(window.ceId)) {
      this.result.duplicates++
      return
    }
    this.result.windows++
    const rows = this.#options.kind.rowsIn(window)
    buffer.add(window, rows, record.value?.length ?? 0, this.#options.now())
  }

  #windowOf(record: LogRecord): ExportedWindow | undefined {
    try {
      return exportedWindow(record)
    } catch (error) {
      if (!(error instanceof PlateauError)) throw error
      this.result.skipped++
      if (this.result.skipped <= MAX_SKIPPED_NAMED) {
        this.#options.say(`skipped ${record.partition}:${record.offset}: ${messageOf(error)} (${error.code})`)
      }
      return undefined
    }
  }

  async #write(buffer: PartitionBuffer): Promise<void> {
    const { range } = buffer
    if (range === undefined) return
    const { columns, rowsOf } = this.#options.kind
    const rows = buffer.windows.flatMap((window) => rowsOf(window))
    const bytes = parquetFile(columns, rows, {
      'plateau.topic': TOPIC,
      'plateau.message': topics.scoredTokens.messageType,
      'plateau.partition': String(range.partition),
      'plateau.first_offset': String(range.first),
      'plateau.last_offset': String(range.last),
      'plateau.rows': this.#options.kind.name,
    })
    const name = await this.#directory.write(range, bytes)
    buffer.clear()
    this.result.files++
    this.result.rows += rows.length
    this.#options.say(`${name}: ${rows.length} rows, ${bytes.length} bytes`)
    const { group } = this.#options
    if (group !== undefined) {
      await this.#log.commit(group, TOPIC, [{ partition: range.partition, offset: range.last + 1 }])
    }
  }

  #bufferedBytes(): number {
    return [...this.#buffers.values()].reduce((sum, { bytes }) => sum + bytes, 0)
  }

  #largest(): PartitionBuffer {
    return [...this.#buffers.values()].reduce((largest, each) => (each.bytes > largest.bytes ? each : largest))
  }
}
