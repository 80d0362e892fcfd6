/** What a metric is: its name is its key in the table. */
export type MetricDeclaration = NumberDeclaration | HistogramDeclaration

interface NumberDeclaration extends AboutMetric {
  readonly kind: 'counter' | 'gauge'
}

interface HistogramDeclaration extends AboutMetric {
  readonly kind: 'histogram'
  /** Upper bounds, growing. */
  readonly buckets: readonly number[]
}

interface AboutMetric {
  /** UCUM, as OpenTelemetry writes units: "s", "By", "1", or what is counted in braces: "{window}". */
  readonly unit: string
  /** What is counted, and by which convention. */
  readonly help: string
  /** Each label with the values it takes. Never what a client may invent without a bound. */
  readonly labels?: Readonly<Record<string, string>>
  /** Label combinations kept apart; further ones count together under "other". Default 500. */
  readonly maxSeries?: number
  /** Absent: stable. Name, kind, unit and labels stay; what is in development may change in any release. */
  readonly stability?: 'development'
}

/** Metrics by name: "plateau_" and lower-case words; a counter's ends in "_total", a unit is part of the name. */
export type MetricTable = Readonly<Record<string, MetricDeclaration>>

/** Names of a table's metrics of a kind. */
export type MetricNames<T extends MetricTable, K extends MetricDeclaration['kind']> = {
  [N in keyof T & string]: T[N]['kind'] extends K ? N : never
}[keyof T & string]

/** Names of the labels of one of a table's metrics. */
export type LabelNames<T extends MetricTable, N extends keyof T> = T[N] extends { readonly labels: infer L }
  ? keyof L & string
  : never

const NAME = /^plateau_[a-z][a-z0-9_]*$/
const LABEL = /^[a-z][a-z0-9_]*$/

/** What is wrong with a declaration, in sentences. */
export function problemsOf(name: string, metric: MetricDeclaration): string[] {
  const { kind, labels = {} } = metric
  const problems: string[] = []
  if (!NAME.test(name)) problems.push(`metric name ${name} must be plateau_ and lower-case words`)
  if ((kind === 'counter') !== name.endsWith('_total'))
    problems.push(`a counter, as ${name}, must end in _total, no other`)
  for (const label of Object.keys(labels)) {
    if (!LABEL.test(label)) problems.push(`label ${label} of ${name} must be lower-case words`)
  }
  if (kind === 'histogram' && metric.buckets.some((bound, i) => i > 0 && bound <= metric.buckets[i - 1]!)) {
    problems.push(`bucket bounds of ${name} must grow`)
  }
  return problems
}

/** The help line of a scrape: what is counted, then the labels. */
export function helpLine({ help, labels = {} }: MetricDeclaration): string {
  const said = Object.entries(labels).map(([label, values]) => `${label}: ${values}.`)
  return [help, ...said].join(' ')
}
