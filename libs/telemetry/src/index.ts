export { errorCode } from './error-fields.js'
export {
  createLogger,
  logLevels,
  silentLogger,
  type Logger,
  type LogFields,
  type LoggerOptions,
  type LogLevel,
} from './logger.js'
export {
  MetricRegistry,
  type Counter,
  type DeclaredMetric,
  type Gauge,
  type Histogram,
  type HistogramValue,
  type Metrics,
  type MetricSpec,
  type Point,
} from './metrics.js'
export { helpLine, type MetricDeclaration, type MetricTable } from './registry/declarations.js'
export { telemetryNames } from './registry/telemetry-names.js'
export { metricsByService, metricTable, type PlateauMetrics } from './registry/metric-table.js'
export { metricsEndpoint, type MetricsEndpoint } from './prometheus.js'
export { type Labels } from './series.js'
export { processIdentity, type ProcessIdentity } from './process-identity.js'
export {
  addSpanEvent,
  currentTraceparent,
  inSpan,
  isSampled,
  MAX_LINKS,
  messagingAttributes,
  startSpan,
  type EventAttributes,
  type SpanOptions,
  type WorkSpan,
} from './span.js'
export { attributeTable, type AttributeDeclaration } from './registry/attribute-table.js'
export { eventTable, spanTable, type EventDeclaration, type SpanDeclaration } from './registry/span-table.js'
export { isTracing, samplers, startTracing, type SamplerName, type Tracing } from './tracing.js'
