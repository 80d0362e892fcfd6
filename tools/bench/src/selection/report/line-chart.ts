/** Curves in panels side by side under one legend. */
import { dot, line, picture, px, text, ticks } from './svg.js'

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
const legendWidth = 700
const margin = { left: 74, right: 20, top: 112, between: 74 }

export function lineChart(chart: LineChart): string {
  const columns = Math.min(2, chart.panels.length)
  const rows = Math.ceil(chart.panels.length / columns)
  const size = {
    width: Math.max(720, columns * panelWidth + 24),
    height: margin.top + rows * (panelHeight + margin.between),
  }
  const parts = chart.panels.flatMap((panel, i) =>
    drawPanel(
      chart,
      panel,
      (i % columns) * panelWidth,
      margin.top + Math.floor(i / columns) * (panelHeight + margin.between),
    ),
  )
  return picture(size, chart.title, [...legend(chart.panels), ...parts])
}

function legend(panels: readonly LinePanel[]): string[] {
  const entries = new Map(panels.flatMap(({ series }) => series.map((one) => [one.name, one] as const)))
  let [at, y] = [24, 48]
  return [...entries.values()].flatMap(({ name, colour, dash }) => {
    const room = 44 + name.length * 7
    if (at + room > legendWidth) [at, y] = [24, y + 18]
    const from = at
    at += room
    return [line(from, y, from + 22, y, colour, dash), dot(from + 11, y, colour), text(from + 28, y + 4, name)]
  })
}

function drawPanel(chart: LineChart, { title, series }: LinePanel, left: number, top: number): string[] {
  const points = series.flatMap((one) => one.points)
  const [low, high] = padded(points.flatMap(({ y, low: l, high: h }) => [y, l ?? y, h ?? y]))
  const scaled = (x: number) => (chart.logX ? Math.log(x) : x)
  const xs = points.map(({ x }) => scaled(x))
  const [first, last] = [Math.min(...xs), Math.max(...xs)]
  const marks = (chart.xTicks ?? ticks(first, last)).filter((value) => scaled(value) >= first && scaled(value) <= last)
  const [x0, x1] = [left + margin.left, left + panelWidth - margin.right]
  const x = (value: number) => x0 + ((scaled(value) - first) / (last - first || 1)) * (x1 - x0)
  const y = (value: number) => top + panelHeight * (1 - (value - low) / (high - low))
  return [
    text(x0, top - 10, title, { weight: 600 }),
    ...ticks(low, high).flatMap((value) => [
      line(x0, y(value), x1, y(value)),
      text(x0 - 8, y(value) + 4, value.toFixed(3), { anchor: 'end' }),
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
