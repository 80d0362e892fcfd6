import type { StatementSync } from 'node:sqlite'
import type { Headers } from '@plateau/contracts'
import type { AppendedRecord, LogRecord, PartitionRange } from '@plateau/event-log'
import { Database, type DatabaseOptions } from './database.js'
import { fencedError } from './log-errors.js'
import type { StoredTopic } from './topic-differences.js'

/** Row id = partition * 2^40 + offset: each partition is one run of the table, and offsets stay exact numbers. */
const OFFSETS_PER_PARTITION = 2 ** 40

export interface PlacedRecord {
  readonly partition: number
  readonly key: string
  readonly value: Uint8Array | null
  readonly headersJson: string
  readonly timestampMs: number
  /** Key, value and headers. */
  readonly bytes: number
}

/** The epoch of a lease that an append was made under. */
export interface Fence {
  readonly name: string
  readonly epoch: number
}

export interface Fetched {
  readonly records: readonly LogRecord[]
  readonly highWatermark: number
}

/** One topic's records in one file. All methods run to their end at once; `database.whenFree` says when they may. */
export class TopicStore {
  readonly topic: StoredTopic
  readonly database: Database
  readonly #nextOffset: StatementSync
  readonly #grow: StatementSync
  readonly #insert: StatementSync
  readonly #select: StatementSync
  readonly #ranges: StatementSync
  readonly #fence: StatementSync
  readonly #raiseFence: StatementSync

  constructor(topic: StoredTopic, path: string, options: DatabaseOptions) {
    this.topic = topic
    const db = new Database(path, schemaOf(topic), options)
    this.database = db
    this.#nextOffset = db.prepare('SELECT next_offset FROM partitions WHERE partition = ?')
    this.#grow = db.prepare('UPDATE partitions SET next_offset = ?, bytes = bytes + ? WHERE partition = ?')
    this.#insert = db.prepare('INSERT INTO records VALUES (?, ?, ?, ?, ?)')
    this.#select = db.prepare('SELECT * FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?')
    this.#ranges = db.prepare('SELECT partition, earliest, next_offset FROM partitions ORDER BY partition')
    this.#fence = db.prepare('SELECT epoch FROM fences WHERE name = ?')
    this.#raiseFence = db.prepare(
      'INSERT INTO fences VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET epoch = max(epoch, excluded.epoch)',
    )
  }

  /**
   * One transaction: all of them get the next offsets of their partitions, in order, or none does. With a `fence`, it
   * throws WRITER_FENCED when that has been raised above its epoch.
   */
  append(records: readonly PlacedRecord[], fence?: Fence): AppendedRecord[] {
    return this.database.transact(() => {
      if (fence !== undefined && this.#epochOf(fence.name) > fence.epoch) throw fencedError(fence, this.topic.name)
      const grown = new Map<number, { next: number; bytes: number }>()
      const appended = records.map((record) => {
        const { partition } = record
        const end = grown.get(partition) ?? { next: this.next(partition), bytes: 0 }
        grown.set(partition, end)
        const offset = end.next++
        end.bytes += record.bytes
        const id = rowId(partition, offset)
        this.#insert.run(id, record.key, record.value, record.headersJson, record.timestampMs)
        return { partition, offset }
      })
      for (const [partition, { next, bytes }] of grown) this.#grow.run(next, bytes, partition)
      return appended
    })
  }

  /** Durable when it returns: no append of an earlier epoch is taken any more. */
  raiseFence({ name, epoch }: Fence): void {
    this.database.transact(() => this.#raiseFence.run(name, epoch))
  }

  /** From `fromOffset` on, at least one record when there is one, at most so many and about so many bytes. */
  fetch(partition: number, fromOffset: number, maxRecords: number, maxBytes: number): Fetched {
    const highWatermark = this.next(partition)
    const records: LogRecord[] = []
    if (fromOffset >= highWatermark) return { records, highWatermark }
    let bytes = 0
    const rows = this.#select.iterate(rowId(partition, fromOffset), rowId(partition, highWatermark), maxRecords)
    for (const row of rows) {
      const record = this.#recordOf(partition, row)
      records.push(record)
      bytes += record.value?.length ?? 0
      if (bytes >= maxBytes) break
    }
    return { records, highWatermark }
  }

  next(partition: number): number {
    return Number(this.#nextOffset.get(partition)?.['next_offset'])
  }

  ranges(): PartitionRange[] {
    return this.#ranges.all().map((row) => ({
      partition: Number(row['partition']),
      earliest: Number(row['earliest']),
      next: Number(row['next_offset']),
    }))
  }

  #epochOf(lease: string): number {
    return Number(this.#fence.get(lease)?.['epoch'] ?? 0)
  }

  #recordOf(partition: number, row: Record<string, unknown>): LogRecord {
    return {
      topic: this.topic.name,
      partition,
      offset: Number(row['id']) - partition * OFFSETS_PER_PARTITION,
      key: String(row['key']),
      value: row['value'] as Uint8Array | null,
      headers: JSON.parse(String(row['headers'])) as Headers,
      timestampMs: Number(row['timestamp_ms']),
    }
  }
}

export function rowId(partition: number, offset: number): number {
  return partition * OFFSETS_PER_PARTITION + offset
}

function schemaOf(topic: StoredTopic): string {
  const partitions = Array.from({ length: topic.partitions }, (_, partition) => `(${partition}, 0, 0, 0, 0)`)
  const compactionIndexes = `
    CREATE INDEX IF NOT EXISTS records_by_key ON records (key);
    CREATE INDEX IF NOT EXISTS tombstones ON records (timestamp_ms) WHERE value IS NULL;`
  return `
    CREATE TABLE IF NOT EXISTS partitions (
      partition INTEGER PRIMARY KEY,
      next_offset INTEGER NOT NULL,
      earliest INTEGER NOT NULL,
      bytes INTEGER NOT NULL,
      compacted_to INTEGER NOT NULL
    );
    INSERT OR IGNORE INTO partitions VALUES ${partitions.join(', ')};
    CREATE TABLE IF NOT EXISTS fences (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS records (
      id INTEGER PRIMARY KEY,
      key TEXT NOT NULL,
      value BLOB,
      headers TEXT NOT NULL,
      timestamp_ms INTEGER NOT NULL
    );
    ${topic.cleanup === 'delete' ? '' : compactionIndexes}`
}
