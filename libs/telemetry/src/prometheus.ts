import type { HrTime } from '@opentelemetry/api'
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  DataPointType,
  MeterProvider,
  type MetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { DeclaredMetric, MetricRegistry } from './metrics.js'
import type { ProcessIdentity } from './process-identity.js'
import { prometheusText } from './prometheus-text.js'

export interface MetricsEndpoint {
  /** Answers one scrape in Prometheus' text format. */
  handle(request: IncomingMessage, response: ServerResponse): void
  close(): Promise<void>
}

/** Exposes a registry through OpenTelemetry's Prometheus exporter, without a server of its own. */
export function metricsEndpoint(
  registry: Pick<MetricRegistry, 'declared' | 'aliased'>,
  options: { readonly identity: ProcessIdentity; readonly clock: () => number },
): MetricsEndpoint {
  const resource = resourceFromAttributes({ ...options.identity })
  const startTime = hrTime(options.clock())
  const producer: MetricProducer = {
    collect: async () => {
      const endTime = hrTime(options.clock())
      const metrics = Array.from(registry.declared(), (metric) => metricData(metric, startTime, endTime))
      return { resourceMetrics: { resource, scopeMetrics: [{ scope: { name: 'plateau' }, metrics }] }, errors: [] }
    },
  }
  const exporter = new PrometheusExporter({ preventServerStart: true, metricProducers: [producer] })
  const withoutScopeInfo = true
  const serializer = new PrometheusSerializer(undefined, false, undefined, false, withoutScopeInfo)
  // The exporter reads producers only once it belongs to a provider.
  const provider = new MeterProvider({ resource, readers: [exporter] })
  return {
    handle: (_, response) => {
      response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8')
      exporter.collect().then(
        // Aliases have names that OpenTelemetry would rewrite.
        ({ resourceMetrics }) =>
          response.end(serializer.serialize(resourceMetrics) + prometheusText(registry.aliased())),
        (error: unknown) => response.writeHead(500).end(`# the metrics could not be collected: ${String(error)}\n`),
      )
    },
    close: () => provider.shutdown(),
  }
}

function metricData(metric: DeclaredMetric, startTime: HrTime, endTime: HrTime): MetricData {
  const base = {
    descriptor: { name: metric.spec.name, description: metric.spec.help, unit: '', valueType: 1 },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  }
  const times = { startTime, endTime }
  if (metric.kind === 'histogram') {
    const dataPoints = Array.from(metric.collect(), ({ labels, value }) => ({
      ...times,
      attributes: labels,
      value: {
        buckets: { boundaries: [...metric.buckets], counts: value.counts },
        sum: value.sum,
        count: value.count,
      },
    }))
    return { ...base, dataPointType: DataPointType.HISTOGRAM, dataPoints }
  }
  const dataPoints = Array.from(metric.collect(), ({ labels, value }) => ({ ...times, attributes: labels, value }))
  return metric.kind === 'counter'
    ? { ...base, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints }
    : { ...base, dataPointType: DataPointType.GAUGE, dataPoints }
}

function hrTime(ms: number): HrTime {
  return [Math.floor(ms / 1000), (ms % 1000) * 1_000_000]
}
