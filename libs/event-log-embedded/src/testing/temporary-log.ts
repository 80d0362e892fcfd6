import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EventLog, LogRecord } from '@plateau/event-log'
import { onTestFinished } from 'vitest'
import { type EmbeddedEventLogOptions, openEmbeddedEventLog } from '../index.js'

export { topicSpec } from './topic-spec.js'

/** Removed when the test ends. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'plateau-log-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Closed when the test ends. */
export function openTestLog(directory: string, options: EmbeddedEventLogOptions = {}): EventLog {
  const log = openEmbeddedEventLog(directory, options)
  onTestFinished(() => log.close())
  return log
}

export async function readAll(log: EventLog, topic: string): Promise<LogRecord[]> {
  const reader = log.reader({ topic, from: 'earliest' })
  const records: LogRecord[] = []
  const reading = (async () => {
    for await (const batch of reader) records.push(...batch.records)
  })()
  await Promise.race([reader.caughtUp, reading])
  await reader.close()
  await reading
  return records
}
