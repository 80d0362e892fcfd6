import { metricsByService, metricTable, type MetricTable } from '@plateau/telemetry'

/** What people narrow a dashboard down by: a label of the scrape, or one that metrics declare. */
export interface Variable {
  readonly name: string
  readonly label: string
  /** Its values are this metric's. */
  readonly from: string
  /** Whether a metric has it. */
  readonly isOf: (metric: string) => boolean
}

/** A histogram is declared once and read in parts. */
const baseOf = (metric: string): string => (metric in metricTable ? metric : metric.replace(/_(bucket|sum|count)$/, ''))

export const variables: readonly Variable[] = [
  { name: 'namespace', label: 'Namespace', from: 'plateau_build_info', isOf: () => true },
  { name: 'release', label: 'Release', from: 'plateau_build_info', isOf: () => true },
  {
    name: 'lineage',
    label: 'Lineage',
    from: 'plateau_trainer_version',
    // Of the trainer's pod, by the chart's ServiceMonitor.
    isOf: (metric) => baseOf(metric) in metricsByService.trainer,
  },
  {
    name: 'tenant',
    label: 'Tenant',
    from: 'plateau_requests_total',
    isOf: (metric) => 'tenant' in ((metricTable as MetricTable)[baseOf(metric)]?.labels ?? {}),
  },
]

/** The condition that what is chosen puts on a series. */
export const isChosen = ({ name }: Variable): string => `${name}=~"$${name}"`
