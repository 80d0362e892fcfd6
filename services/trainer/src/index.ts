export { trainer } from './service.js'
export { decodeSnapshot } from './snapshot.js'
export { acceptRecord, expectationsOf, type AcceptedRecord } from './training-record.js'
