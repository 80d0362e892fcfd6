/** Differences with their intervals, a row each, around a line at none. */
import { padded } from './line-chart.js'
import { dot, grey, line, picture, text, ticks, tickText } from './svg.js'

export interface ForestRow {
  readonly name: string
  readonly colour: string
  readonly value: number
  readonly low: number
  readonly high: number
}

export interface ForestPanel {
  readonly title: string
  readonly rows: readonly ForestRow[]
}

const width = 960
const rowHeight = 20
/** Where names end. */
const axis = 360

export interface ForestChart {
  readonly title: string
  readonly xLabel: string
  readonly panels: readonly ForestPanel[]
  /** Whether panels are to be compared with each other, or each has a scale of its own. */
  readonly sameScale: boolean
}

export function forestChart(chart: ForestChart): string {
  const span = (panels: readonly ForestPanel[]) =>
    padded([0, ...panels.flatMap(({ rows }) => rows.flatMap(({ low, high }) => [low, high]))])
  const shared = chart.sameScale ? span(chart.panels) : undefined
  let top = 74
  const parts = chart.panels.flatMap((panel) => {
    const drawn = drawPanel(panel, { top, xLabel: chart.xLabel, span: shared ?? span([panel]) })
    top += panel.rows.length * rowHeight + 92
    return drawn
  })
  return picture({ width, height: top - 20 }, chart.title, parts)
}

interface Place {
  readonly top: number
  readonly xLabel: string
  readonly span: readonly [number, number]
}

function drawPanel({ title, rows }: ForestPanel, { top, xLabel, span: [low, high] }: Place): string[] {
  const x = (value: number) => axis + ((value - low) / (high - low)) * (width - 30 - axis)
  const marks = ticks(low, high, 6)
  const write = tickText(marks)
  const bottom = top + rows.length * rowHeight
  return [
    text(24, top - 10, title, { weight: 600 }),
    ...marks.flatMap((value) => [
      line(x(value), top, x(value), bottom),
      text(x(value), bottom + 17, write(value), { anchor: 'middle' }),
    ]),
    line(x(0), top, x(0), bottom, grey),
    text((axis + width - 30) / 2, bottom + 36, xLabel, { anchor: 'middle' }),
    ...rows.flatMap(({ name, colour, value, low: from, high: to }, i) => {
      const y = top + (i + 0.5) * rowHeight
      return [
        text(axis - 12, y + 4, name, { anchor: 'end' }),
        line(x(from), y, x(to), y, colour),
        dot(x(value), y, colour),
      ]
    }),
  ]
}
