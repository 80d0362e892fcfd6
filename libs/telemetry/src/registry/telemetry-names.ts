import { attributeTable } from './attribute-table.js'
import { metricTable } from './metric-table.js'
import { eventTable, spanTable, type SpanDeclaration } from './span-table.js'

const spans = Object.entries<SpanDeclaration>(spanTable)
const automatic = new Set<string>(spans.flatMap(([, { auto, attributes }]) => (auto === true ? attributes : [])))

/** All names of the registry that our own code must use; what a library's instrumentation says is not among them. */
export const telemetryNames = {
  metrics: Object.keys(metricTable),
  others: [
    ...Object.keys(attributeTable).filter((name) => !automatic.has(name)),
    ...spans.filter(([, { auto }]) => auto !== true).map(([name]) => name),
    ...Object.keys(eventTable),
  ],
}
