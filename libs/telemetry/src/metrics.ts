import { helpLine, problemsOf, type LabelNames, type MetricNames, type MetricTable } from './registry/declarations.js'
import { metricTable, type PlateauMetrics } from './registry/metric-table.js'
import { labelKey, Series, type Labels } from './series.js'

/** What is kept of a declaration to count and to show: names of labels, the help line of a scrape. */
export interface MetricSpec<L extends string> {
  readonly name: string
  readonly help: string
  readonly labels?: readonly L[]
  readonly maxSeries?: number
}

export interface Counter<L extends string> {
  /** Adds `amount` (default 1, never negative). Every declared label must be given. */
  add(labels: Labels<L>, amount?: number): void
  value(labels: Labels<L>): number
  /** Forgets every series that matches all of `labels`. */
  remove(labels: Partial<Labels<L>>): void
}

export interface Gauge<L extends string> {
  set(labels: Labels<L>, value: number): void
  /** Asked at every scrape instead of being set. */
  observe(read: () => Iterable<readonly [Labels<L>, number]>): void
  value(labels: Labels<L>): number | undefined
  remove(labels: Partial<Labels<L>>): void
}

export interface Histogram<L extends string> {
  record(labels: Labels<L>, value: number): void
  count(labels: Labels<L>): number
  remove(labels: Partial<Labels<L>>): void
}

/**
 * A service's metrics, by their names in the registry (registry/metric-table.ts), which knows kind, labels and help. To
 * take one twice is a programmer's mistake.
 */
export interface Metrics<T extends MetricTable = PlateauMetrics> {
  counter<N extends MetricNames<T, 'counter'>>(name: N): Counter<LabelNames<T, N>>
  gauge<N extends MetricNames<T, 'gauge'>>(name: N): Gauge<LabelNames<T, N>>
  histogram<N extends MetricNames<T, 'histogram'>>(name: N): Histogram<LabelNames<T, N>>
  /** Shows what was declared under another system's names as well: `read` is asked at every scrape. */
  alias(read: (declared: ReadonlyMap<string, DeclaredMetric>) => Iterable<DeclaredMetric>): void
}

export interface HistogramValue {
  readonly counts: number[]
  sum: number
  count: number
}

export type DeclaredMetric =
  | {
      readonly kind: 'counter' | 'gauge'
      readonly spec: MetricSpec<string>
      readonly collect: () => Iterable<Point<number>>
    }
  | {
      readonly kind: 'histogram'
      readonly spec: MetricSpec<string>
      readonly buckets: readonly number[]
      readonly collect: () => Iterable<Point<HistogramValue>>
    }

export interface Point<V> {
  readonly labels: Readonly<Record<string, string>>
  readonly value: V
}

/**
 * Keeps the numbers of this process. OpenTelemetry's exporter reads it (prometheus.ts). It does not use the SDK's own
 * instruments because those never forget a series: a label such as draft_version would grow for as long as we run.
 */
export class MetricRegistry<T extends MetricTable = PlateauMetrics> implements Metrics<T> {
  readonly #table: MetricTable
  readonly #declared = new Map<string, DeclaredMetric>()
  readonly #aliases: ((declared: ReadonlyMap<string, DeclaredMetric>) => Iterable<DeclaredMetric>)[] = []

  /** `table`: for tests of this class; everything else uses the registry. */
  constructor(table?: T) {
    this.#table = table ?? metricTable
  }

  counter<N extends MetricNames<T, 'counter'>>(name: N): Counter<LabelNames<T, N>> {
    type L = LabelNames<T, N>
    const { spec } = this.#take<L>(name, 'counter')
    const series = new Series<L, { sum: number }>(spec, () => ({ sum: 0 }))
    const collect = (): Iterable<Point<number>> => series.points(({ sum }) => sum)
    this.#declared.set(name, { kind: 'counter', spec, collect })
    return {
      add: (labels, amount = 1) => {
        if (!(amount >= 0)) throw new RangeError(`counter ${spec.name} cannot go down by ${amount}`)
        series.at(labels).sum += amount
      },
      value: (labels) => series.peek(labels)?.sum ?? 0,
      remove: (labels) => series.remove(labels),
    }
  }

  gauge<N extends MetricNames<T, 'gauge'>>(name: N): Gauge<LabelNames<T, N>> {
    type L = LabelNames<T, N>
    const { spec } = this.#take<L>(name, 'gauge')
    const series = new Series<L, { value: number }>(spec, () => ({ value: 0 }))
    let read: (() => Iterable<readonly [Labels<L>, number]>) | undefined
    const collect = (): Iterable<Point<number>> =>
      read === undefined
        ? series.points(({ value }) => value)
        : Array.from(read(), ([labels, value]) => ({ labels: labels as Record<string, string>, value }))
    this.#declared.set(name, { kind: 'gauge', spec, collect })
    return {
      set: (labels, value) => {
        series.at(labels).value = value
      },
      observe: (reader) => {
        read = reader
      },
      value: (labels) =>
        read === undefined
          ? series.peek(labels)?.value
          : [...read()].find(([found]) => labelKey(spec.labels, found) === labelKey(spec.labels, labels))?.[1],
      remove: (labels) => series.remove(labels),
    }
  }

  histogram<N extends MetricNames<T, 'histogram'>>(name: N): Histogram<LabelNames<T, N>> {
    type L = LabelNames<T, N>
    const { spec, buckets } = this.#take<L>(name, 'histogram')
    const empty = (): HistogramValue => ({
      counts: Array.from({ length: buckets.length + 1 }, () => 0),
      sum: 0,
      count: 0,
    })
    const series = new Series<L, HistogramValue>(spec, empty)
    this.#declared.set(name, { kind: 'histogram', spec, buckets, collect: () => series.points((value) => value) })
    return {
      record: (labels, value) => {
        const histogram = series.at(labels)
        const bucket = buckets.findIndex((bound) => value <= bound)
        histogram.counts[bucket === -1 ? buckets.length : bucket]! += 1
        histogram.sum += value
        histogram.count += 1
      },
      count: (labels) => series.peek(labels)?.count ?? 0,
      remove: (labels) => series.remove(labels),
    }
  }

  /** Everything that was taken, in that order. */
  declared(): Iterable<DeclaredMetric> {
    return this.#declared.values()
  }

  alias(read: (declared: ReadonlyMap<string, DeclaredMetric>) => Iterable<DeclaredMetric>): void {
    this.#aliases.push(read)
  }

  /** What aliases say at this moment. */
  aliased(): DeclaredMetric[] {
    return this.#aliases.flatMap((read) => [...read(this.#declared)])
  }

  /** The compiler has refused all of this already, where it was asked. */
  #take<L extends string>(
    name: string,
    kind: DeclaredMetric['kind'],
  ): { readonly spec: MetricSpec<L>; readonly buckets: readonly number[] } {
    const found = this.#table[name]
    if (found === undefined) throw new RangeError(`metric ${name} is not in the registry`)
    if (found.kind !== kind) throw new RangeError(`metric ${name} is a ${found.kind} in the registry, not a ${kind}`)
    const [problem] = problemsOf(name, found)
    if (problem !== undefined) throw new RangeError(problem)
    if (this.#declared.has(name)) throw new RangeError(`metric ${name} is taken twice`)
    const labels = Object.keys(found.labels ?? {}) as L[]
    const bound = found.maxSeries === undefined ? {} : { maxSeries: found.maxSeries }
    const spec = { name, help: helpLine(found), labels, ...bound }
    return { spec, buckets: found.kind === 'histogram' ? found.buckets : [] }
  }
}
