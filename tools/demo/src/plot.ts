/** The demo's picture: alpha of the live draft and of the frozen one over time, with phases and swaps. Plain SVG. */
export interface CurvePoint {
  /** Since the demo's start. */
  readonly seconds: number
  readonly alpha: number
  readonly frozenAlpha: number
  readonly acceptanceLength: number
}

export interface PlotInput {
  readonly title: string
  readonly points: readonly CurvePoint[]
  readonly phases: readonly { readonly name: string; readonly fromSeconds: number; readonly toSeconds: number }[]
  readonly swaps: readonly { readonly version: string; readonly seconds: number }[]
}

interface Panel {
  readonly top: number
  readonly height: number
  readonly label: string
  readonly min: number
  readonly max: number
}

const width = 960
const left = 64
const right = 24
const live = '#0b6e99'
const frozen = '#b5542a'
const ink = '#24292f'
const pale = '#d0d7de'

export function plotSvg(input: PlotInput): string {
  const endSeconds = Math.max(1, ...input.phases.map((phase) => phase.toSeconds))
  const x = (seconds: number) => left + (seconds / endSeconds) * (width - left - right)
  const top = (values: readonly number[], step: number) =>
    Math.ceil((Math.max(step, ...values.filter(Number.isFinite)) * 1.08) / step) * step
  const alpha: Panel = {
    top: 86,
    height: 230,
    label: 'alpha: mean of sum min(p, q)',
    min: 0,
    max: top(
      input.points.flatMap((point) => [point.alpha, point.frozenAlpha]),
      0.2,
    ),
  }
  const length: Panel = {
    top: 366,
    height: 130,
    label: 'mean acceptance length',
    min: 1,
    max:
      1 +
      top(
        input.points.map((point) => point.acceptanceLength - 1),
        1,
      ),
  }
  const bottom = length.top + length.height
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom + 52}" font-family="system-ui, sans-serif" font-size="13" fill="${ink}">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    `<text x="${left}" y="26" font-size="17" font-weight="600">${escape(input.title)}</text>`,
    ...legend(),
    ...input.phases.flatMap((phase, i) => phaseBand(phase, i, x, alpha.top, bottom)),
    ...[alpha, length].flatMap((panel) => axes(panel)),
    ...input.swaps.map((swap) => swapMark(swap, x(swap.seconds), alpha.top, bottom)),
    // Each phase has a frozen draft of its own.
    ...input.phases.map(({ fromSeconds, toSeconds }) =>
      curve(
        input.points
          .filter((point) => point.seconds >= fromSeconds && point.seconds < toSeconds)
          .map((point) => [x(point.seconds), point.frozenAlpha]),
        alpha,
        frozen,
        '6 4',
      ),
    ),
    curve(
      input.points.map((point) => [x(point.seconds), point.alpha]),
      alpha,
      live,
    ),
    curve(
      input.points.map((point) => [x(point.seconds), point.acceptanceLength]),
      length,
      live,
    ),
    ...timeAxis(endSeconds, x, bottom),
    `</svg>`,
    '',
  ].join('\n')
}

function legend(): string[] {
  const entry = (at: number, colour: string, dash: string, text: string) =>
    `<line x1="${at}" y1="46" x2="${at + 28}" y2="46" stroke="${colour}" stroke-width="2.5" stroke-dasharray="${dash}"/>` +
    `<text x="${at + 36}" y="50">${text}</text>`
  return [
    entry(left, live, '', 'live draft'),
    entry(left + 130, frozen, '6 4', 'same draft, frozen when the phase began'),
    `<line x1="${left + 470}" y1="38" x2="${left + 470}" y2="54" stroke="#6e7781" stroke-dasharray="2 3"/><text x="${left + 480}" y="50">a new draft went live</text>`,
  ]
}

function phaseBand(
  phase: PlotInput['phases'][number],
  index: number,
  x: (seconds: number) => number,
  top: number,
  bottom: number,
): string[] {
  const from = x(phase.fromSeconds)
  const span = x(phase.toSeconds) - from
  return [
    `<rect x="${px(from)}" y="${top}" width="${px(span)}" height="${bottom - top}" fill="${index % 2 === 0 ? '#f6f8fa' : '#eef6fb'}"/>`,
    `<text x="${px(from + 8)}" y="${top + 18}" font-weight="600">${escape(phase.name)}</text>`,
  ]
}

function axes(panel: Panel): string[] {
  const ticks = 4
  const lines = Array.from({ length: ticks + 1 }, (_, i) => {
    const value = panel.min + ((panel.max - panel.min) * i) / ticks
    const y = px(yOf(panel, value))
    return (
      `<line x1="${left}" y1="${y}" x2="${width - right}" y2="${y}" stroke="${pale}"/>` +
      `<text x="${left - 8}" y="${y + 4}" text-anchor="end">${value.toFixed(2)}</text>`
    )
  })
  return [...lines, `<text x="${left}" y="${panel.top - 8}" font-size="12">${panel.label}</text>`]
}

function timeAxis(endSeconds: number, x: (seconds: number) => number, bottom: number): string[] {
  const step = [5, 10, 20, 30, 60, 120].find((candidate) => endSeconds / candidate <= 10) ?? 300
  const ticks = Array.from({ length: Math.floor(endSeconds / step) + 1 }, (_, i) => i * step)
  return [
    ...ticks.map((tick) => `<text x="${px(x(tick))}" y="${bottom + 18}" text-anchor="middle">${tick}</text>`),
    `<text x="${px((left + width - right) / 2)}" y="${bottom + 38}" text-anchor="middle">seconds</text>`,
  ]
}

function swapMark(swap: PlotInput['swaps'][number], at: number, top: number, bottom: number): string {
  return `<line x1="${px(at)}" y1="${top}" x2="${px(at)}" y2="${bottom}" stroke="#6e7781" stroke-dasharray="2 3"><title>version ${escape(swap.version)} at ${swap.seconds.toFixed(1)} s</title></line>`
}

/** Gaps where there is no value. */
function curve(points: readonly (readonly [number, number])[], panel: Panel, colour: string, dash = ''): string {
  let pen = 'M'
  const path = points
    .map(([at, value]) => {
      if (!Number.isFinite(value)) {
        pen = 'M'
        return ''
      }
      const step = `${pen}${px(at)} ${px(yOf(panel, value))}`
      pen = 'L'
      return step
    })
    .join('')
  return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2.5" stroke-linejoin="round" stroke-dasharray="${dash}"/>`
}

function yOf(panel: Panel, value: number): number {
  const share = (Math.min(panel.max, Math.max(panel.min, value)) - panel.min) / (panel.max - panel.min)
  return panel.top + panel.height * (1 - share)
}

const px = (value: number): number => Math.round(value * 10) / 10
const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
