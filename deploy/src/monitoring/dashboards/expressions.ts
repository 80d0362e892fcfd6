import type { PlateauMetrics } from '@plateau/telemetry'

type Kind = 'counter' | 'gauge' | 'histogram'
type NamesOf<K extends Kind> = {
  [N in keyof PlateauMetrics]: PlateauMetrics[N]['kind'] extends K ? N : never
}[keyof PlateauMetrics]

export type CounterName = NamesOf<'counter'>
export type GaugeName = NamesOf<'gauge'>
export type HistogramName = NamesOf<'histogram'>

/** Label conditions beyond the dashboard's own: 'outcome="failed"'. */
export interface Where {
  readonly by?: string
  readonly where?: string
}

/** PromQL of the dashboards: the compiler refuses a metric that does not exist, and a rate of what is no counter. */
export function rate(name: CounterName, { by, where }: Where = {}): string {
  return `sum${grouping(by)}(rate(${selected(name, where)}[$__rate_interval]))`
}

export function gauge(name: GaugeName, how: 'sum' | 'max' | 'min' | 'avg', { by, where }: Where = {}): string {
  return `${how}${grouping(by)}(${selected(name, where)})`
}

/** One line for each series. */
export function each(name: GaugeName | CounterName, where?: string): string {
  return selected(name, where)
}

/** Estimated from the buckets. */
export function quantile(share: number, name: HistogramName, { by, where }: Where = {}): string {
  return `histogram_quantile(${share}, ${bucketRates(name, { by: by === undefined ? 'le' : `le, ${by}`, ...(where === undefined ? {} : { where }) })})`
}

/** By bucket, for a heat map. */
export function buckets(name: HistogramName, { where }: Where = {}): string {
  return bucketRates(name, { by: 'le', ...(where === undefined ? {} : { where }) })
}

export function meanOf(name: HistogramName, { by, where }: Where = {}): string {
  const part = (suffix: string): string =>
    `sum${grouping(by)}(rate(${selected(`${name}_${suffix}`, where)}[$__rate_interval]))`
  return `${part('sum')} / ${part('count')}`
}

/** How often a value was recorded. */
export function countRate(name: HistogramName, { by, where }: Where = {}): string {
  return `sum${grouping(by)}(rate(${selected(`${name}_count`, where)}[$__rate_interval]))`
}

/** A share of what happened; nothing while nothing happens. */
export function share(part: string, whole: string): string {
  return `${part} / (${whole} > 0)`
}

/** The share of what goes wrong: 0 while none did, since a counter with labels is absent until it first counts. */
export function failedShare(part: string, whole: string): string {
  return `${share(part, whole)} or (${whole} > 0) * 0`
}

/** Parts by a label against one whole. */
export function shareOfAll(parts: string, whole: string): string {
  return `${parts} / on () group_left () (${whole} > 0)`
}

function bucketRates(name: HistogramName, { by, where }: Where): string {
  return `sum${grouping(by)}(rate(${selected(`${name}_bucket`, where)}[$__rate_interval]))`
}

function grouping(by: string | undefined): string {
  return by === undefined ? '' : ` by (${by}) `
}

/** Outside Kubernetes the labels are absent, which ".*" matches. */
function selected(name: string, where: string | undefined): string {
  const own = 'namespace=~"$namespace",release=~"$release"'
  return `${name}{${where === undefined ? own : `${own},${where}`}}`
}
