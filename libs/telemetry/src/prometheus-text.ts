import type { DeclaredMetric, HistogramValue } from './metrics.js'

/** Metrics in Prometheus' text format (0.0.4), names as they are: "vllm:num_requests_running". */
export function prometheusText(metrics: Iterable<DeclaredMetric>): string {
  return Array.from(metrics, familyText).join('')
}

function familyText(metric: DeclaredMetric): string {
  const { name, help } = metric.spec
  const samples =
    metric.kind === 'histogram'
      ? Array.from(metric.collect(), ({ labels, value }) => histogramLines(name, labels, metric.buckets, value)).flat()
      : Array.from(metric.collect(), ({ labels, value }) => line(name, labels, value))
  return [`# HELP ${name} ${escaped(help)}`, `# TYPE ${name} ${metric.kind}`, ...samples, ''].join('\n')
}

type LabelValues = Readonly<Record<string, string>>

/** Buckets count everything up to their bound. */
function histogramLines(name: string, labels: LabelValues, bounds: readonly number[], value: HistogramValue): string[] {
  let below = 0
  const buckets = value.counts.map((count, i) => {
    below += count
    return line(`${name}_bucket`, { ...labels, le: i < bounds.length ? String(bounds[i]) : '+Inf' }, below)
  })
  return [...buckets, line(`${name}_sum`, labels, value.sum), line(`${name}_count`, labels, value.count)]
}

function line(name: string, labels: LabelValues, value: number): string {
  const inside = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text).replaceAll('"', '\\"')}"`)
  return `${name}${inside.length === 0 ? '' : `{${inside.join(',')}}`} ${value}`
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}
