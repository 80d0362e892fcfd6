import type { StatementSync } from 'node:sqlite'
import { PlateauError, type TopicSpec } from '@plateau/contracts'
import type { TopicDifference } from '@plateau/event-log'
import { type StoredTopic, topicDifferences } from './topic-differences.js'
import type { Database } from './database.js'

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

  /** Creates what is missing; all of it, or nothing when a topic cannot do what it is declared for. */
  async ensure(specs: readonly TopicSpec[]): Promise<void> {
    await this.#changeAll(specs, (spec, differences) => {
      const incompatible = differences.filter(({ kind }) => kind === 'incompatible')
      if (incompatible.length > 0) throw mismatchError(spec.name, incompatible)
      return differences.some(({ kind }) => kind === 'missing')
    })
  }

  async compare(specs: readonly TopicSpec[]): Promise<TopicDifference[]> {
    for (const spec of specs) checkName(spec.name)
    return this.#db.whenFree(() => this.#compare(specs))
  }

  /** Creates what is missing and sets what may change. A topic that cannot do what it is declared for stays as it is. */
  async apply(specs: readonly TopicSpec[]): Promise<TopicDifference[]> {
    return this.#changeAll(
      specs,
      (_spec, differences) => differences.length > 0 && differences.every(({ kind }) => kind !== 'incompatible'),
    )
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

  /** Saves each topic that `shouldSave` says; returns the differences that there were. */
  async #changeAll(
    specs: readonly TopicSpec[],
    shouldSave: (spec: TopicSpec, differences: readonly TopicDifference[]) => boolean,
  ): Promise<TopicDifference[]> {
    for (const spec of specs) checkName(spec.name)
    const differences = await this.#db.whenFree(() => {
      if (this.#compare(specs).length === 0) return []
      return this.#db.transact(() => {
        const found = this.#compare(specs)
        for (const spec of specs) {
          const own = found.filter(({ topic }) => topic === spec.name)
          if (shouldSave(spec, own)) this.#saveOne(spec)
        }
        return found
      })
    })
    this.all()
    return differences
  }

  #compare(specs: readonly TopicSpec[]): TopicDifference[] {
    this.all()
    return specs.flatMap((spec) => topicDifferences(spec, this.#known.get(spec.name)))
  }

  #saveOne({ name, partitions, cleanup, retentionMs, retentionBytes, maxRecordBytes }: TopicSpec): void {
    this.#save.run(name, partitions, cleanup, retentionMs, retentionBytes, maxRecordBytes)
  }
}

function mismatchError(topic: string, incompatible: readonly TopicDifference[]): PlateauError {
  const named = incompatible.map(({ setting, actual, declared }) => `${setting} is ${actual}, declared ${declared}`)
  return new PlateauError('TOPIC_MISMATCH', `Topic ${topic} cannot be used as it is: ${named.join('; ')}.`, {
    facts: { topic, settings: incompatible.map(({ setting }) => setting).join() },
  })
}

/** Kafka's rule for names, which also makes them safe as file names. */
function checkName(name: string): void {
  if (/^[a-zA-Z0-9._-]{1,249}$/.test(name) && name !== '.' && name !== '..') return
  throw new PlateauError('INVALID_TOPIC_NAME', `"${name}" cannot name a topic: use letters, digits, dot, dash, _.`, {
    facts: { topic: name },
  })
}
