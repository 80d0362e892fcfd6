import type { EventLog, LogRecord } from '@plateau/event-log'

/** Everything in a topic so far. */
export async function readAll(log: EventLog, topic: string): Promise<LogRecord[]> {
  const reader = log.reader({ topic, from: 'earliest' })
  const records: LogRecord[] = []
  void reader.caughtUp.then(() => reader.close())
  for await (const batch of reader) records.push(...batch.records)
  return records
}
