import { fileStore, writeCheckpoint, type SigningKey } from '@plateau/checkpoints'
import { topics, type TopicSpec } from '@plateau/contracts'
import type { EventLog } from '@plateau/event-log'
import { consoleTopics } from '../model/parse-record.js'
import { plausibleHistory, type HistoryOptions } from './history.js'
import type { SentRecord } from './records.js'

/** The history in a real log, with signed versions in a real store. */
export async function writeHistory(
  log: EventLog,
  store: { readonly directory: string; readonly key: SigningKey },
  options: Omit<HistoryOptions, 'reference'>,
): Promise<void> {
  const references = new Map<number, { manifestPath: string; manifestSha256: string }>()
  const startMs = options.endMs - options.minutes * 60_000
  for (let version = 1; version <= options.minutes / options.minutesPerVersion; version++) {
    const atMs = startMs + (version - 1) * options.minutesPerVersion * 60_000
    references.set(version, await writeVersion(store, version, atMs))
  }
  const reference = (version: number) => references.get(version)!
  await log.ensureTopics(consoleTopics as unknown as TopicSpec[])
  await sendAll(log, plausibleHistory({ ...options, reference }))
}

export async function sendAll(log: EventLog, records: readonly SentRecord[]): Promise<void> {
  const producer = log.producer()
  for (const [topic, group] of Map.groupBy(records, (record) => record.topic)) {
    await producer.send(
      topic,
      group.map(({ record }) => record),
    )
  }
  await producer.close()
}

function writeVersion(store: { directory: string; key: SigningKey }, version: number, atMs: number) {
  const about = {
    lineage: 'default',
    version,
    parent: Math.max(0, version - 1),
    kind: 'feature-fed-head',
    targetFingerprint: 'f0'.repeat(32),
    tokenizerHash: '0d'.repeat(32),
    trainedThrough: [0, 1, 2, 3].map((partition) => ({
      topic: topics.trainingWindows.name,
      partition,
      nextOffset: 310 * version + partition,
    })),
    policy: 'flatness keeps 50 % of windows, within every domain',
    evaluation: { positions: 768, alpha: 0.42 + 0.2 * (1 - 1 / version), parentAlpha: null, greedyMatch: 0.6 },
    trainedPositions: 4_000 * version,
    gradientTenants: ['0123456789abcdef', 'e3b0c44298fc1c14'],
    sumTenants: ['0123456789abcdef', 'e3b0c44298fc1c14'],
    codeVersion: '0.1.0',
    createdAt: new Date(atMs).toISOString(),
  }
  return writeCheckpoint(
    fileStore(store.directory),
    about,
    [{ path: 'config.json', bytes: Buffer.from('{}') }],
    store.key,
  )
}
