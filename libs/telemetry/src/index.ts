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
export { metricsByService, metricTable, type PlateauMetrics } from './registry/metric-table.js'
export { metricsEndpoint, type MetricsEndpoint } from './prometheus.js'
export { type Labels } from './series.js'
export { messagingAttributes, startMessageSpan, type MessageSpan, type MessageSpanOptions } from './message-span.js'
export { currentTraceparent, isTracing, startTracing, withRemoteParent, withSpan, type Tracing } from './tracing.js'
