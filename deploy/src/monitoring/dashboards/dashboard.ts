import { isChosen, variables, type Variable } from './variables.js'

/** Grafana dashboards in the classic JSON model, which Grafana 10 to 12 load without edits. */
export interface Dashboard {
  /** Also the file's name; stays, so that links do. */
  readonly uid: string
  readonly title: string
  readonly description: string
  readonly rows: readonly Row[]
}

export interface Row {
  readonly title: string
  readonly panels: readonly Panel[]
}

export type Unit = 'short' | 'percentunit' | 's' | 'bytes' | 'ops' | 'dateTimeFromNow' | 'none'

export interface Panel {
  readonly title: string
  /** What it shows, what is good, and what to do where it is not. */
  readonly description: string
  readonly kind?: 'timeseries' | 'stat' | 'heatmap' | 'table'
  readonly unit?: Unit
  /** Of 24; default: all panels of a row alike. */
  readonly width?: number
  readonly queries: readonly Query[]
  /** From which value on, and in which colour; the first has no lower end. */
  readonly thresholds?: readonly (readonly [from: number | null, colour: Colour])[]
  /** The alert that fires beyond the last threshold. */
  readonly alert?: string
  readonly min?: number
  readonly max?: number
  readonly stacked?: boolean
}

/** Told apart by people with any sight. */
export type Colour = 'blue' | 'orange' | 'red' | 'green' | 'yellow' | 'text'

export interface Query {
  readonly expr: string
  /** With Grafana's placeholders: "{{tenant}}". */
  readonly legend: string
}

const DATASOURCE = { type: 'prometheus', uid: '${datasource}' }
const SCHEMA_VERSION = 39
const ROW_HEIGHT = 8
const STAT_HEIGHT = 4

export function grafanaJson({ uid, title, description, rows }: Dashboard): object {
  return {
    uid: `plateau-${uid}`,
    title: `Plateau / ${title}`,
    description,
    tags: ['plateau'],
    schemaVersion: SCHEMA_VERSION,
    version: 1,
    editable: true,
    graphTooltip: 1,
    timezone: 'browser',
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    links: [
      {
        type: 'dashboards',
        title: 'Plateau',
        tags: ['plateau'],
        asDropdown: true,
        includeVars: true,
        keepTime: true,
        targetBlank: false,
        icon: 'external link',
      },
    ],
    templating: { list: [datasource, ...variablesOf(rows).map(labelVariable)] },
    annotations: { list: [versionMarks, rollbackMarks] },
    panels: laidOut(rows),
  }
}

const datasource = {
  name: 'datasource',
  label: 'Data source',
  type: 'datasource',
  query: 'prometheus',
  current: {},
  hide: 0,
  includeAll: false,
  multi: false,
  regex: '',
  refresh: 1,
}

/** Those that its queries use. */
function variablesOf(rows: readonly Row[]): readonly Variable[] {
  const queries = rows.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries))
  return variables.filter((variable) => queries.some(({ expr }) => expr.includes(isChosen(variable))))
}

function labelVariable(variable: Variable): object {
  const { name, label, from } = variable
  // What is chosen in the ones before narrows it.
  const outer = variables.slice(0, variables.indexOf(variable)).filter(({ isOf }) => isOf(from))
  const values = `label_values(${from}{${outer.map(isChosen).join()}}, ${name})`
  return {
    name,
    label,
    type: 'query',
    datasource: DATASOURCE,
    definition: values,
    query: { qryType: 1, query: values, refId: 'variable' },
    includeAll: true,
    // Also where a scrape gives no such label.
    allValue: '.*',
    multi: true,
    current: { selected: true, text: ['All'], value: ['$__all'] },
    refresh: 2,
    sort: 1,
    hide: 0,
  }
}

const mark = (name: string, colour: string, metric: string, titleFormat: string): object => ({
  name,
  datasource: DATASOURCE,
  enable: true,
  hide: false,
  iconColor: colour,
  expr: `sum by (release) (increase(${metric}{namespace=~"$namespace",release=~"$release"}[$__rate_interval])) > 0`,
  step: '15s',
  titleFormat,
  type: 'dashboard',
})
const versionMarks = mark('Swaps', 'blue', 'plateau_draft_swaps_total', 'another version is live')
const rollbackMarks = mark('Rollbacks', 'red', 'plateau_draft_rollbacks_total', 'a version was rolled back')

/** Rows of panels side by side, 24 columns wide. */
function laidOut(rows: readonly Row[]): object[] {
  const panels: object[] = []
  let y = 0
  let id = 1
  for (const { title, panels: inside } of rows) {
    panels.push({ id: id++, type: 'row', title, collapsed: false, panels: [], gridPos: { x: 0, y: y++, w: 24, h: 1 } })
    let x = 0
    let height = 0
    for (const panel of inside) {
      const w = panel.width ?? Math.max(4, Math.floor(24 / Math.min(3, inside.length)))
      const h = panel.kind === 'stat' ? STAT_HEIGHT : ROW_HEIGHT
      if (x + w > 24) [x, y, height] = [0, y + height, 0]
      panels.push({ id: id++, ...panelJson(panel), gridPos: { x, y, w, h } })
      x += w
      height = Math.max(height, h)
    }
    y += height
  }
  return panels
}

function panelJson(panel: Panel): object {
  const { title, description, kind = 'timeseries', queries, alert } = panel
  return {
    type: kind,
    title,
    description: alert === undefined ? description : `${description} Alert: ${alert}.`,
    datasource: DATASOURCE,
    targets: queries.map((query, i) => target(query, i, kind)),
    fieldConfig: { defaults: fieldDefaults(panel), overrides: [] },
    options: OPTIONS[kind],
  }
}

function target({ expr, legend }: Query, index: number, kind: NonNullable<Panel['kind']>): object {
  return {
    refId: String.fromCharCode('A'.charCodeAt(0) + index),
    datasource: DATASOURCE,
    expr,
    legendFormat: legend,
    editorMode: 'code',
    range: kind !== 'table',
    instant: kind === 'table',
    format: kind === 'heatmap' ? 'heatmap' : kind === 'table' ? 'table' : 'time_series',
  }
}

function fieldDefaults({ kind = 'timeseries', unit = 'short', thresholds, min, max, stacked }: Panel): object {
  const steps = (thresholds ?? [[null, 'blue']]).map(([value, color]) => ({ color, value }))
  return {
    unit,
    noValue: 'no data',
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
    color: { mode: kind === 'stat' ? 'thresholds' : 'palette-classic-by-name' },
    thresholds: { mode: 'absolute', steps },
    ...(kind === 'timeseries'
      ? {
          custom: {
            drawStyle: 'line',
            lineWidth: 1,
            fillOpacity: stacked === true ? 30 : 0,
            showPoints: 'auto',
            spanNulls: false,
            stacking: { mode: stacked === true ? 'normal' : 'none', group: 'A' },
            thresholdsStyle: { mode: thresholds === undefined ? 'off' : 'dashed' },
          },
        }
      : {}),
  }
}

const OPTIONS = {
  timeseries: {
    legend: { displayMode: 'list', placement: 'bottom', showLegend: true },
    tooltip: { mode: 'multi', sort: 'desc' },
  },
  stat: {
    colorMode: 'value',
    graphMode: 'area',
    justifyMode: 'auto',
    textMode: 'auto',
    reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
  },
  heatmap: {
    calculate: false,
    color: { mode: 'scheme', scheme: 'Viridis', steps: 64 },
    yAxis: { axisPlacement: 'left' },
    cellGap: 1,
    tooltip: { mode: 'single', yHistogram: true },
  },
  table: { showHeader: true, cellHeight: 'sm' },
} as const
