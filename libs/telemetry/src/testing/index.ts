export { TestCollector, type CollectedSpan } from './test-collector.js'
export { undeclared } from './undeclared.js'
