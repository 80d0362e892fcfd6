import { clockTime } from './format.js'
import { html, type Html, type Part } from './html.js'

/** A line of a chart; points with no value are left out, and a gap of more than two steps breaks the line. */
export interface Line {
  readonly label: string
  /** Chooses colour and dashes: main, other-0 .. other-3, each. */
  readonly look: string
  readonly points: readonly { readonly atMs: number; readonly value: number }[]
}

export interface Marker {
  readonly atMs: number
  readonly label: string
  readonly title: string
  readonly kind: 'live' | 'back'
}

export interface TimeChart {
  readonly title: string
  readonly fromMs: number
  readonly toMs: number
  readonly stepMs: number
  readonly lines: readonly Line[]
  readonly markers: readonly Marker[]
  /** Says a value, for axis and table. */
  readonly say: (value: number) => string
  /** The axis covers at least this. */
  readonly least: readonly [number, number]
}

/** Height of the plot in its own units; the browser stretches it. */
const WIDE = 1000
const HIGH = 100
const X_TICKS = 5
/** Markers closer than this share of the width show no label, and on narrow screens those closer than the second. */
const LABEL_SHARES = [0.06, 0.13] as const

/**
 * Lines over time as inline SVG that is as wide as its place. Lines are drawn in stretched units with strokes that do not stretch; text
 * and dots stand at percentages, so that they never do.
 */
export function timeChart(chart: TimeChart): Html {
  const { low, high, ticks } = axisOf(chart)
  const x = (atMs: number): number => (atMs - chart.fromMs) / (chart.toMs - chart.fromMs)
  const y = (value: number): number => 1 - (value - low) / (high - low || 1)
  const inside = chart.markers.filter(({ atMs }) => atMs >= chart.fromMs && atMs <= chart.toMs)
  return html`<figure class="chart">
    <figcaption>${chart.title}</figcaption>
    <div class="frame" role="img" aria-label="${summary(chart)}">
      <svg class="plot" viewBox="0 0 ${WIDE} ${HIGH}" preserveAspectRatio="none">
        ${ticks.map((value) => html`<path class="grid" d="M0 ${at(y(value) * HIGH)}H${WIDE}" />`)}
        ${inside.map(({ atMs, kind }) => html`<path class="marker ${kind}" d="M${at(x(atMs) * WIDE)} 0V${HIGH}" />`)}
        ${chart.lines.map((line) => html`<path class="line ${line.look}" d="${pathOf(line, chart.stepMs, x, y)}" />`)}
      </svg>
      <svg class="plot">
        ${chart.lines.map((line) => lonePoints(line, chart.stepMs).map((point) => html`<circle class="dot ${line.look}" cx="${share(x(point.atMs))}" cy="${share(y(point.value))}" r="2" />`))}
        ${markerLabels(inside, x)} ${timeLabels(chart, x)}
      </svg>
      <svg class="axis">
        ${ticks.map((value) => html`<text x="38" y="${share(y(value))}" dy="4" text-anchor="end">${chart.say(value)}</text>`)}
      </svg>
    </div>
  </figure>`
}

export function legend(lines: readonly Line[], extra?: Part): Html {
  const named = lines.filter(
    ({ label, look }, at) => lines.findIndex((line) => line.label === label) === at && look !== '',
  )
  return html`<ul class="legend">
    ${named.map(
      ({ label, look }) =>
        html`<li>
          <svg width="28" height="10" aria-hidden="true"><path class="line ${look}" d="M1 5H27" /></svg> ${label}
        </li>`,
    )}
    ${extra}
  </ul>`
}

/** The same numbers for those who cannot see the picture, or want to copy them. */
export function chartTable(charts: readonly TimeChart[], nowMs: number): Html {
  const columns = charts.flatMap((chart) =>
    chart.lines.filter(({ look }) => look !== 'each').map((line) => ({ chart, line })),
  )
  const times = [...new Set(columns.flatMap(({ line }) => line.points.map(({ atMs }) => atMs)))].toSorted(
    (a, b) => b - a,
  )
  return html`<details class="numbers" data-keep="numbers">
    <summary>The same in numbers</summary>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">UTC</th>
            ${columns.map(({ chart, line }) => html`<th scope="col" class="number">${chart.title}, ${line.label}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${times.map(
            (atMs) =>
              html`<tr>
                <th scope="row">${clockTime(atMs, nowMs)}</th>
                ${columns.map(({ chart, line }) => {
                  const point = line.points.find((candidate) => candidate.atMs === atMs)
                  return html`<td class="number">${point === undefined ? '–' : chart.say(point.value)}</td>`
                })}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </details>`
}

function summary({ title, lines, say }: TimeChart): string {
  const said = lines
    .filter(({ look, points }) => look !== 'each' && points.length > 0)
    .map(({ label, points }) => `${label} from ${say(points[0]!.value)} to ${say(points.at(-1)!.value)}`)
  return said.length === 0 ? `${title}: nothing in this time` : `${title}: ${said.join('; ')}`
}

/** Covers what is shown and `least`, in whole steps. */
function axisOf({ lines, least }: TimeChart): { low: number; high: number; ticks: number[] } {
  const values = lines.flatMap(({ points }) => points.map(({ value }) => value))
  const [lowest, highest] = [Math.min(least[0], ...values), Math.max(least[1], ...values)]
  const step = niceStep(highest - lowest)
  const [first, last] = [Math.floor(lowest / step + 1e-9), Math.ceil(highest / step - 1e-9)]
  const ticks = Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step)
  return { low: first * step, high: last * step, ticks }
}

/** About three steps of 1, 2 or 5 times a power of ten. */
function niceStep(range: number): number {
  const raw = (range || 1) / 3
  const power = 10 ** Math.floor(Math.log10(raw))
  return (([1, 2, 5] as const).find((factor) => factor * power >= raw) ?? 10) * power
}

function pathOf({ points }: Line, stepMs: number, x: (ms: number) => number, y: (value: number) => number): string {
  return points
    .map(({ atMs, value }, index) => {
      const isBroken = index === 0 || atMs - points[index - 1]!.atMs > 2.5 * stepMs
      return `${isBroken ? 'M' : 'L'}${at(x(atMs) * WIDE)} ${at(y(value) * HIGH)}`
    })
    .join('')
}

/** Points without a neighbour, which no line shows. */
function lonePoints({ points }: Line, stepMs: number): Line['points'] {
  const near = (a: number, b: number | undefined): boolean => b !== undefined && Math.abs(a - b) <= 2.5 * stepMs
  return points.filter(
    ({ atMs }, index) => !near(atMs, points[index - 1]?.atMs) && !near(atMs, points[index + 1]?.atMs),
  )
}

function markerLabels(markers: readonly Marker[], x: (ms: number) => number): Html[] {
  let [last, lastMajor] = [-1, -1]
  return markers.map(({ atMs, label, title, kind }) => {
    const place = x(atMs)
    const hasRoom = place - last >= LABEL_SHARES[0]
    const isMajor = place - lastMajor >= LABEL_SHARES[1]
    if (hasRoom) last = place
    if (hasRoom && isMajor) lastMajor = place
    return html`<g class="marker-label ${kind}">
      <title>${title}</title>
      <circle
        cx="${share(place)}"
        cy="0"
        r="3"
      />${hasRoom && html`<text class="${isMajor ? 'major' : 'minor'}" x="${share(place)}" y="-5" text-anchor="middle">${label}</text>`}
    </g>`
  })
}

function timeLabels({ fromMs, toMs }: TimeChart, x: (ms: number) => number): Html[] {
  const isLong = toMs - fromMs > 20 * 3_600_000
  return Array.from({ length: X_TICKS }, (_, index) => {
    const atMs = fromMs + ((toMs - fromMs) * index) / (X_TICKS - 1)
    const anchor = index === 0 ? 'start' : index === X_TICKS - 1 ? 'end' : 'middle'
    const text = new Date(atMs)
      .toISOString()
      .slice(isLong ? 5 : 11, 16)
      .replace('T', ' ')
    return html`<text
      class="${index % 2 === 1 ? 'minor' : 'major'}"
      x="${share(x(atMs))}"
      y="100%"
      dy="14"
      text-anchor="${anchor}"
      >${text}</text
    >`
  })
}

function share(part: number): string {
  return `${at(part * 100)}%`
}

function at(value: number): string {
  return value.toFixed(2)
}
