import type { StatementSync } from 'node:sqlite'
import type { Database } from './database.js'
import type { StoredTopic } from './topic-differences.js'
import { rowId, type TopicStore } from './topic-store.js'

/** What one transaction may touch, so that appends never wait long for it. */
const SLICE_RECORDS = 500
const SLICE_BYTES = 2 * 1024 * 1024
const BYTES = 'octet_length(key) + coalesce(octet_length(value), 0) + octet_length(headers)'
const TOMBSTONES = 'value IS NULL AND timestamp_ms < ? AND id >= ? AND id < ?'

export interface CleaningOptions {
  /** Compaction leaves records younger than this alone, so that readers close to the end see every change. */
  readonly compactionLagMs: number
  /** A removed key's null stays this long, so that readers learn of the removal. */
  readonly tombstoneRetentionMs: number
}

interface PartitionState {
  readonly partition: number
  readonly earliest: number
  readonly next: number
  readonly bytes: number
  readonly compactedTo: number
}

/** Retention and compaction of one topic, in slices. Only the holder of the maintenance lease runs it. */
export class TopicCleaner {
  readonly #db: Database
  readonly #options: CleaningOptions
  /** Per partition: how far compaction may go, and since when that offset has been there. */
  readonly #horizons = new Map<number, { readonly next: number; readonly atMs: number }>()
  readonly #states: StatementSync
  readonly #oldest: StatementSync
  readonly #deleteRange: StatementSync
  readonly #expired: StatementSync
  readonly #uncompacted: StatementSync
  readonly #deleteOlder: StatementSync
  readonly #anyTombstone: StatementSync
  readonly #deleteTombstones: StatementSync
  readonly #compacted: StatementSync

  constructor(store: TopicStore, options: CleaningOptions) {
    this.#db = store.database
    this.#options = options
    const db = this.#db
    this.#states = db.prepare('SELECT * FROM partitions')
    this.#oldest = db.prepare(
      `SELECT id, timestamp_ms, ${BYTES} AS bytes FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?`,
    )
    this.#deleteRange = db.prepare('DELETE FROM records WHERE id >= ? AND id <= ?')
    this.#expired = db.prepare('UPDATE partitions SET earliest = ?, bytes = bytes - ? WHERE partition = ?')
    this.#uncompacted = db.prepare('SELECT id, key FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?')
    this.#deleteOlder = db.prepare(
      `DELETE FROM records WHERE key = ? AND id >= ? AND id < ? RETURNING ${BYTES} AS bytes`,
    )
    this.#anyTombstone = db.prepare(`SELECT 1 FROM records WHERE ${TOMBSTONES} LIMIT 1`)
    this.#deleteTombstones = db.prepare(
      `DELETE FROM records WHERE id IN (
        SELECT id FROM records WHERE ${TOMBSTONES} LIMIT ?
      ) RETURNING ${BYTES} AS bytes`,
    )
    this.#compacted = db.prepare('UPDATE partitions SET compacted_to = ?, bytes = bytes - ? WHERE partition = ?')
  }

  /** One slice of what is due; false when nothing is. `topic` is fresh: its retention may have changed. */
  slice(topic: StoredTopic, nowMs: number): boolean {
    for (const state of this.#states.all().map(stateOf)) {
      if (topic.cleanup !== 'compact' && this.#expireSlice(state, topic, nowMs)) return true
      if (topic.cleanup !== 'delete' && this.#compactSlice(state, nowMs)) return true
    }
    return false
  }

  #expireSlice(state: PartitionState, topic: StoredTopic, nowMs: number): boolean {
    const due = this.#due(state, topic, nowMs, 1)
    if (due === undefined) return false
    this.#db.transact(() => {
      const slice = this.#due(state, topic, nowMs, SLICE_RECORDS)
      if (slice === undefined) return
      this.#deleteRange.run(rowId(state.partition, state.earliest), slice.lastId)
      const earliest = slice.lastId - rowId(state.partition, 0) + 1
      this.#expired.run(earliest, slice.bytes, state.partition)
    })
    return true
  }

  /** The oldest records that size or age says must go, stopping at the first that may stay. */
  #due(
    { partition, earliest, next, bytes: held }: PartitionState,
    { retentionBytes, retentionMs }: StoredTopic,
    nowMs: number,
    limit: number,
  ): { lastId: number; bytes: number } | undefined {
    let lastId: number | undefined
    let bytes = 0
    for (const row of this.#oldest.iterate(rowId(partition, earliest), rowId(partition, next), limit)) {
      const isTooMuch = retentionBytes >= 0 && held - bytes > retentionBytes
      const isTooOld = retentionMs >= 0 && Number(row['timestamp_ms']) < nowMs - retentionMs
      if ((!isTooMuch && !isTooOld) || bytes >= SLICE_BYTES) break
      lastId = Number(row['id'])
      bytes += Number(row['bytes'])
    }
    return lastId === undefined ? undefined : { lastId, bytes }
  }

  /** Walks over each record once: whatever has the same key and is older goes. */
  #compactSlice(state: PartitionState, nowMs: number): boolean {
    const { partition, compactedTo } = state
    const from = rowId(partition, compactedTo)
    const to = rowId(partition, this.#horizonOf(state, nowMs))
    const start = rowId(partition, 0)
    const expiredBefore = nowMs - this.#options.tombstoneRetentionMs
    if (to <= from && this.#anyTombstone.get(expiredBefore, start, from) === undefined) return false
    return this.#db.transact(() => {
      const newer = to > from ? this.#uncompacted.all(from, to, SLICE_RECORDS) : []
      const dropped = newer.flatMap((row) => this.#deleteOlder.all(String(row['key']), start, Number(row['id'])))
      const isPart = newer.length === SLICE_RECORDS
      const end = isPart ? Number(newer.at(-1)?.['id']) + 1 : Math.max(from, to)
      const tombstones = this.#deleteTombstones.all(expiredBefore, start, end, SLICE_RECORDS)
      const bytes = [...dropped, ...tombstones].reduce((sum, row) => sum + Number(row['bytes']), 0)
      if (end > from || bytes > 0) this.#compacted.run(end - start, bytes, partition)
      return isPart || tombstones.length === SLICE_RECORDS
    })
  }

  #horizonOf({ partition, next, compactedTo }: PartitionState, nowMs: number): number {
    const horizon = this.#horizons.get(partition)
    if (horizon === undefined || compactedTo >= horizon.next) {
      this.#horizons.set(partition, { next, atMs: nowMs })
      return compactedTo
    }
    return nowMs - horizon.atMs >= this.#options.compactionLagMs ? horizon.next : compactedTo
  }
}

function stateOf(row: Record<string, unknown>): PartitionState {
  return {
    partition: Number(row['partition']),
    earliest: Number(row['earliest']),
    next: Number(row['next_offset']),
    bytes: Number(row['bytes']),
    compactedTo: Number(row['compacted_to']),
  }
}
