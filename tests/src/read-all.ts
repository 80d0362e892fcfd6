import { readUpToNow, type EventLog, type LogRecord } from '@plateau/event-log'

/** Everything in a topic so far. */
export async function readAll(log: EventLog, topic: string): Promise<LogRecord[]> {
  const found: LogRecord[] = []
  for await (const { records } of readUpToNow(log.reader({ topic, from: 'earliest' }))) found.push(...records)
  return found
}
