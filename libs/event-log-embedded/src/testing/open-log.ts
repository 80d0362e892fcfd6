import type { EventLog } from '@plateau/event-log'
import { openEmbeddedEventLog } from '../embedded-event-log.js'

/** For the contract's own processes. */
export function openLog(directory: string): EventLog {
  return openEmbeddedEventLog(directory)
}
