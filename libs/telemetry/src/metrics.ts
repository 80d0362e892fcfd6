import { labelKey, Series, type Labels } from './series.js'

export interface MetricSpec<L extends string> {
  /** "plateau_" and lower-case words with underscores; a counter's name ends in "_total", a unit is part of the name. */
  readonly name: string
  /** One sentence: what is counted, and by which convention. */
  readonly help: string
  readonly labels?: readonly L[]
  /** Label combinations kept apart; further ones count together under "other". Default 500. */
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

/** A service's metrics. Each is declared once, before use; a name that is declared twice is a programmer's mistake. */
export interface Metrics {
  counter<L extends string = never>(spec: MetricSpec<L>): Counter<L>
  gauge<L extends string = never>(spec: MetricSpec<L>): Gauge<L>
  histogram<L extends string = never>(spec: MetricSpec<L> & { readonly buckets: readonly number[] }): Histogram<L>
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

const NAME = /^plateau_[a-z][a-z0-9_]*$/
const LABEL = /^[a-z][a-z0-9_]*$/

/**
 * Keeps the numbers of this process. OpenTelemetry's exporter reads it (prometheus.ts). It does not use the SDK's own
 * instruments because those never forget a series: a label such as draft_version would grow for as long as we run.
 */
export class MetricRegistry implements Metrics {
  readonly #declared = new Map<string, DeclaredMetric>()
  readonly #aliases: ((declared: ReadonlyMap<string, DeclaredMetric>) => Iterable<DeclaredMetric>)[] = []

  counter<L extends string = never>(spec: MetricSpec<L>): Counter<L> {
    const series = new Series<L, { sum: number }>(spec, () => ({ sum: 0 }))
    const collect = (): Iterable<Point<number>> => series.points(({ sum }) => sum)
    this.#declare({ kind: 'counter', spec, collect })
    return {
      add: (labels, amount = 1) => {
        if (!(amount >= 0)) throw new RangeError(`counter ${spec.name} cannot go down by ${amount}`)
        series.at(labels).sum += amount
      },
      value: (labels) => series.peek(labels)?.sum ?? 0,
      remove: (labels) => series.remove(labels),
    }
  }

  gauge<L extends string = never>(spec: MetricSpec<L>): Gauge<L> {
    const series = new Series<L, { value: number }>(spec, () => ({ value: 0 }))
    let read: (() => Iterable<readonly [Labels<L>, number]>) | undefined
    const collect = (): Iterable<Point<number>> =>
      read === undefined
        ? series.points(({ value }) => value)
        : Array.from(read(), ([labels, value]) => ({ labels: labels as Record<string, string>, value }))
    this.#declare({ kind: 'gauge', spec, collect })
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

  histogram<L extends string = never>(spec: MetricSpec<L> & { readonly buckets: readonly number[] }): Histogram<L> {
    const { buckets } = spec
    if (buckets.some((bound, i) => i > 0 && bound <= buckets[i - 1]!)) {
      throw new RangeError(`bucket bounds of ${spec.name} must grow`)
    }
    const empty = (): HistogramValue => ({
      counts: Array.from({ length: buckets.length + 1 }, () => 0),
      sum: 0,
      count: 0,
    })
    const series = new Series<L, HistogramValue>(spec, empty)
    this.#declare({ kind: 'histogram', spec, buckets, collect: () => series.points((value) => value) })
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

  /** Everything that was declared, in that order. */
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

  #declare(metric: DeclaredMetric): void {
    const { name, labels = [] } = metric.spec
    if (!NAME.test(name)) throw new RangeError(`metric name ${name} must be plateau_ and lower-case words`)
    if (metric.kind === 'counter' && !name.endsWith('_total'))
      throw new RangeError(`counter ${name} must end in _total`)
    const wrong = labels.find((label) => !LABEL.test(label))
    if (wrong !== undefined) throw new RangeError(`label ${wrong} of ${name} must be lower-case words`)
    if (this.#declared.has(name)) throw new RangeError(`metric ${name} is declared twice`)
    this.#declared.set(name, metric)
  }
}
