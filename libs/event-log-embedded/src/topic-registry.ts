import type { StatementSync } from 'node:sqlite'
import { PlateauError, type TopicSpec } from '@plateau/contracts'
import type { Database } from './database.js'

/** What the log itself needs of a topic's declaration. */
export type StoredTopic = Pick<
  TopicSpec,
  'name' | 'partitions' | 'cleanup' | 'retentionMs' | 'retentionBytes' | 'maxRecordBytes'
>

/** Which topics exist: one table, shared by all processes. */
export class TopicRegistry {
  readonly #db: Database
  readonly #known = new Map<string, StoredTopic>()
  readonly #all: StatementSync
  readonly #save: StatementSync

  constructor(db: Database) {
    this.#db = db
    this.#all = db.prepare('SELECT * FROM topics ORDER BY name')
    this.#save = db.prepare('INSERT OR REPLACE INTO topics VALUES (?, ?, ?, ?, ?, ?)')
  }

  /** Creates what is missing. Retention and record size may change; partitions and cleanup may not. */
  async ensure(specs: readonly TopicSpec[]): Promise<void> {
    for (const spec of specs) checkName(spec.name)
    await this.#db.whenFree(() => {
      this.all()
      if (specs.every((spec) => isSame(spec, this.#known.get(spec.name)))) return
      this.#db.transact(() => {
        this.all()
        for (const spec of specs) this.#ensureOne(spec)
      })
    })
    this.all()
  }

  get(name: string): StoredTopic {
    let topic = this.#known.get(name)
    if (topic === undefined) {
      this.all()
      topic = this.#known.get(name)
    }
    if (topic !== undefined) return topic
    throw new PlateauError('UNKNOWN_TOPIC', `The event log has no topic ${name}: declare it with ensureTopics first.`, {
      facts: { topic: name },
    })
  }

  /** Reads the table: another process may have added topics or changed their retention. */
  all(): readonly StoredTopic[] {
    const topics = this.#all.all().map((row) => ({
      name: String(row['name']),
      partitions: Number(row['partitions']),
      cleanup: String(row['cleanup']) as StoredTopic['cleanup'],
      retentionMs: Number(row['retention_ms']),
      retentionBytes: Number(row['retention_bytes']),
      maxRecordBytes: Number(row['max_record_bytes']),
    }))
    for (const topic of topics) this.#known.set(topic.name, topic)
    return topics
  }

  #ensureOne(spec: TopicSpec): void {
    const found = this.#known.get(spec.name)
    if (found !== undefined && (found.partitions !== spec.partitions || found.cleanup !== spec.cleanup)) {
      throw new PlateauError(
        'TOPIC_MISMATCH',
        `Topic ${spec.name} exists with ${found.partitions} partitions and cleanup ${found.cleanup}, ` +
          `but is declared with ${spec.partitions} and ${spec.cleanup}.`,
        { facts: { topic: spec.name, partitions: found.partitions, declaredPartitions: spec.partitions } },
      )
    }
    const { name, partitions, cleanup, retentionMs, retentionBytes, maxRecordBytes } = spec
    this.#save.run(name, partitions, cleanup, retentionMs, retentionBytes, maxRecordBytes)
  }
}

function isSame(spec: TopicSpec, stored: StoredTopic | undefined): boolean {
  return (
    stored !== undefined &&
    stored.partitions === spec.partitions &&
    stored.cleanup === spec.cleanup &&
    stored.retentionMs === spec.retentionMs &&
    stored.retentionBytes === spec.retentionBytes &&
    stored.maxRecordBytes === spec.maxRecordBytes
  )
}

/** Kafka's rule for names, which also makes them safe as file names. */
function checkName(name: string): void {
  if (/^[a-zA-Z0-9._-]{1,249}$/.test(name) && name !== '.' && name !== '..') return
  throw new PlateauError('INVALID_TOPIC_NAME', `"${name}" cannot name a topic: use letters, digits, dot, dash, _.`, {
    facts: { topic: name },
  })
}
