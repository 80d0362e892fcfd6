/** Curves in panels side by side under one legend. */
import { dot, line, picture, px, text, ticks, tickText } from './svg.js'

export interface Series {
  readonly name: string
  readonly colour: string
  readonly dash?: string
  readonly points: readonly { readonly x: number; readonly y: number; readonly low?: number; readonly high?: number }[]
}

export interface LinePanel {
  readonly title: string
  readonly series: readonly Series[]
}

export interface LineChart {
  readonly title: string
  readonly xLabel: string
  readonly yLabel: string
  readonly xText: (x: number) => string
  /** Where the axis is marked; round numbers unless given. */
  readonly xTicks?: readonly number[]
  readonly logX?: boolean
  readonly panels: readonly LinePanel[]
}

const panelWidth = 440
const panelHeight = 250
const columns = 2
const width = columns * panelWidth + 24
const margin = { left: 74, right: 20, between: 74 }
/** Of an entry of the legend: its line, then its letters. */
const legendRoom = ({ name }: Series): number => 44 + name.length * 7
const legendTop = 50

export function lineChart(chart: LineChart): string {
  const legend = legendRows(chart.panels)
  const top = legendTop + legend.length * 18 + 30
  const height = top + Math.ceil(chart.panels.length / columns) * (panelHeight + margin.between)
  const parts = chart.panels.flatMap((panel, i) => {
    const row = Math.floor(i / columns)
    return drawPanel(chart, panel, (i % columns) * panelWidth, top + row * (panelHeight + margin.between))
  })
  return picture({ width, height }, chart.title, [...legend.flatMap(drawLegendRow), ...parts])
}

/** Names that several panels share stand once; a row holds what fits. */
function legendRows(panels: readonly LinePanel[]): Series[][] {
  const entries = new Map(panels.flatMap(({ series }) => series.map((one) => [one.name, one] as const)))
  const rows: Series[][] = [[]]
  for (const entry of entries.values()) {
    const taken = rows.at(-1)!.reduce((sum, other) => sum + legendRoom(other), 24)
    if (taken + legendRoom(entry) > width) rows.push([])
    rows.at(-1)!.push(entry)
  }
  return rows
}

function drawLegendRow(row: readonly Series[], index: number): string[] {
  const y = legendTop + index * 18
  return row.flatMap(({ name, colour, dash }, i) => {
    const x = row.slice(0, i).reduce((sum, other) => sum + legendRoom(other), 24)
    return [line(x, y, x + 22, y, colour, dash), dot(x + 11, y, colour), text(x + 28, y + 4, name)]
  })
}

function drawPanel(chart: LineChart, { title, series }: LinePanel, left: number, top: number): string[] {
  const points = series.flatMap((one) => one.points)
  const [low, high] = padded(points.flatMap(({ y, low: l, high: h }) => [y, l ?? y, h ?? y]))
  const scaled = (x: number) => (chart.logX ? Math.log(x) : x)
  const xs = points.map(({ x }) => scaled(x))
  const [first, last] = [Math.min(...xs), Math.max(...xs)]
  const marks = (chart.xTicks ?? ticks(first, last)).filter((value) => scaled(value) >= first && scaled(value) <= last)
  const levels = ticks(low, high)
  const write = tickText(levels)
  const [x0, x1] = [left + margin.left, left + panelWidth - margin.right]
  const x = (value: number) => x0 + ((scaled(value) - first) / (last - first || 1)) * (x1 - x0)
  const y = (value: number) => top + panelHeight * (1 - (value - low) / (high - low))
  return [
    text(x0, top - 10, title, { weight: 600 }),
    ...levels.flatMap((value) => [
      line(x0, y(value), x1, y(value)),
      text(x0 - 8, y(value) + 4, write(value), { anchor: 'end' }),
    ]),
    ...marks.map((value) => text(x(value), top + panelHeight + 18, chart.xText(value), { anchor: 'middle' })),
    text((x0 + x1) / 2, top + panelHeight + 38, chart.xLabel, { anchor: 'middle' }),
    text(left + 18, top + panelHeight / 2, chart.yLabel, { anchor: 'middle', turned: true }),
    ...series.flatMap((one) => drawSeries(one, x, y)),
  ]
}

function drawSeries(
  { name, colour, dash, points }: Series,
  x: (at: number) => number,
  y: (at: number) => number,
): string[] {
  const path = points.map((point, i) => `${i === 0 ? 'M' : 'L'}${px(x(point.x))} ${px(y(point.y))}`).join('')
  const stroke = `fill="none" stroke="${colour}" stroke-width="2" stroke-linejoin="round"`
  return [
    `<path d="${path}" ${stroke}${dash === undefined ? '' : ` stroke-dasharray="${dash}"`}><title>${name}</title></path>`,
    ...points.map((point) => dot(x(point.x), y(point.y), colour)),
    ...points
      .filter(({ low, high }) => low !== undefined && high !== undefined)
      .map((point) => line(x(point.x), y(point.low!), x(point.x), y(point.high!), colour)),
  ]
}

/** A little more than the values span. */
export function padded(values: readonly number[]): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const room = (high - low || Math.abs(high) || 1) * 0.06
  return [low - room, high + room]
}
