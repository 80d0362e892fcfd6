import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { allTopics, deadLetterTopics } from '@plateau/contracts'
import { readUpToNow, type EventLog, type LogRecord } from '@plateau/event-log'
import { openEmbeddedEventLog } from '@plateau/event-log-embedded'
import { onTestFinished } from 'vitest'

/** Removed when the test ends. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'plateau-cli-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export interface TestLog {
  readonly log: EventLog
  /** As --event-log takes it. */
  readonly url: string
}

/** An embedded log with every topic of ours. */
export async function temporaryLog(): Promise<TestLog> {
  const directory = join(temporaryDirectory(), 'log')
  const log = openEmbeddedEventLog(directory)
  onTestFinished(() => log.close())
  await log.ensureTopics([...allTopics, ...deadLetterTopics])
  return { log, url: `embedded:${directory}` }
}

export async function readAll(log: EventLog, topic: string): Promise<LogRecord[]> {
  const records: LogRecord[] = []
  const { signal } = new AbortController()
  for await (const batch of readUpToNow(log.reader({ topic, from: 'earliest' }), signal)) records.push(...batch.records)
  return records
}
