/** What the adapters share. Not for those who use a log. */
export { AdapterProducer, type AdapterProducerParts } from './adapter/adapter-producer.js'
export { closedError, notLeasedError, recordTooLargeError } from './adapter/errors.js'
export { Pulse } from './adapter/pulse.js'
