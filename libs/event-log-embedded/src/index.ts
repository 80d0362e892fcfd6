export { openEmbeddedEventLog, type EmbeddedEventLogOptions } from './embedded-event-log.js'
