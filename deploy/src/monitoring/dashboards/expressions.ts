import type { PlateauMetrics } from '@plateau/telemetry'
import { isChosen, variables } from './variables.js'

type Kind = 'counter' | 'gauge' | 'histogram'
type NamesOf<K extends Kind> = {
  [N in keyof PlateauMetrics]: PlateauMetrics[N]['kind'] extends K ? N : never
}[keyof PlateauMetrics]

export type CounterName = NamesOf<'counter'>
export type GaugeName = NamesOf<'gauge'>
export type HistogramName = NamesOf<'histogram'>

export interface Where {
  readonly by?: string
  /** Label conditions beyond the dashboard's own: 'outcome="failed"'. */
  readonly where?: string
  /** Of all tenants, whichever are chosen: beside a metric that does not tell them apart. */
  readonly ofAllTenants?: boolean
}

/** PromQL of the dashboards: the compiler refuses a metric that does not exist, and a rate of what is no counter. */
export function rate(name: CounterName, where: Where = {}): string {
  return sumOfRates(name, where)
}

export function gauge(name: GaugeName, how: 'sum' | 'max' | 'min' | 'avg', where: Where = {}): string {
  return `${how}${grouping(where)}(${selected(name, where)})`
}

/** One line for each series. */
export function each(name: GaugeName | CounterName, where: Omit<Where, 'by'> = {}): string {
  return selected(name, where)
}

/** Estimated from the buckets. */
export function quantile(share: number, name: HistogramName, { by, ...where }: Where = {}): string {
  const labels = by === undefined ? 'le' : `le, ${by}`
  return `histogram_quantile(${share}, ${sumOfRates(`${name}_bucket`, { ...where, by: labels })})`
}

/** By bucket, for a heat map. */
export function buckets(name: HistogramName, where: Omit<Where, 'by'> = {}): string {
  return sumOfRates(`${name}_bucket`, { ...where, by: 'le' })
}

export function meanOf(name: HistogramName, where: Where = {}): string {
  return `${sumOfRates(`${name}_sum`, where)} / ${sumOfRates(`${name}_count`, where)}`
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

function sumOfRates(name: string, where: Where): string {
  return `sum${grouping(where)}(rate(${selected(name, where)}[$__rate_interval]))`
}

function grouping({ by }: Where): string {
  return by === undefined ? '' : ` by (${by}) `
}

/** With the variables that the metric has. Outside Kubernetes a scrape gives no such labels, which ".*" matches. */
function selected(name: string, { where, ofAllTenants = false }: Omit<Where, 'by'>): string {
  const chosen = variables.filter((variable) => variable.isOf(name) && !(ofAllTenants && variable.name === 'tenant'))
  return `${name}{${[...chosen.map(isChosen), ...(where === undefined ? [] : [where])].join()}}`
}
