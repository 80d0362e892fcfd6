/** The pictures of docs/selection.md, by file name. A plot without results is left out. */
import type { CurvePoint } from '../arm-result.js'
import { type Cell, cellName, type Treatment, treatmentName } from './cells.js'
import { forestChart } from './forest-chart.js'
import type { JudgedCell } from './judged-cell.js'
import type { Judgement } from './judgements.js'
import { lineChart, type Series } from './line-chart.js'
import { percent } from './markdown.js'
import { colourOf } from './svg.js'

export function plots(cells: readonly JudgedCell[]): Map<string, string> {
  const all = cells.map(({ cell }) => cell)
  const drawn = {
    'retain-ratio.svg': retainRatioPlot(cells, all),
    'over-random.svg': overRandomPlot(cells, all),
    'learning-curves.svg': learningCurvesPlot(cells, all),
    'learned-and-fixed.svg': learnedPlot(cells, all),
  }
  return new Map(Object.entries(drawn).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

const half = ({ treatment }: Judgement): boolean => treatment.keep === 0.5
const dashOf = ({ treatment }: Judgement): { dash?: string } => (treatment.unit === 'token' ? { dash: '6 4' } : {})

function retainRatioPlot(cells: readonly JudgedCell[], all: readonly Cell[]): string | undefined {
  const panels = cells.flatMap(({ cell, judgements }) => {
    const full = judgements.find(({ treatment }) => treatment.selector === 'full' && treatment.matched === 'steps')
    const swept = [...Map.groupBy(judgements, ({ treatment }) => treatmentName(treatment))].filter(
      ([, line]) => line.length > 2,
    )
    const series = swept.map(([name, line]): Series => {
      const points = [...line, ...(full ? [full] : [])].toSorted((a, b) => a.treatment.keep - b.treatment.keep)
      return {
        name,
        colour: colourOf(line[0]!.treatment.selector),
        ...dashOf(line[0]!),
        points: points.map((one) => ({ x: one.treatment.keep, y: one.alpha, ...overFullInterval(one) })),
      }
    })
    return series.length === 0 ? [] : [{ title: cellName(cell, all), series }]
  })
  if (panels.length === 0) return undefined
  return lineChart({
    title: 'Acceptance by the share kept (bars: 95 % of the difference from all data)',
    xLabel: 'kept positions',
    yLabel: 'alpha, held out',
    xText: (keep) => percent(keep),
    xTicks: [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1],
    logX: true,
    panels,
  })
}

/** Paired with full data, which is what the lines of the plot share; the width of alpha itself is that of the held-out set. */
function overFullInterval({ alpha, overFull }: Judgement): { low?: number; high?: number } {
  if (overFull === undefined) return {}
  const { low, high } = overFull.interval
  return { low: alpha - overFull.difference + low, high: alpha - overFull.difference + high }
}

function overRandomPlot(cells: readonly JudgedCell[], all: readonly Cell[]): string | undefined {
  const panels = cells.flatMap(({ cell, judgements }) => {
    const rows = judgements
      .filter((one) => half(one) && one.overRandom !== undefined)
      .toSorted((a, b) => b.overRandom!.difference - a.overRandom!.difference)
      .map((one) => forestRow(treatmentName(one.treatment), one))
    return rows.length === 0 ? [] : [{ title: cellName(cell, all), rows }]
  })
  if (panels.length === 0) return undefined
  const title = 'Alpha over random at as many tokens, half kept (95 %, paired)'
  return forestChart({ title, xLabel: 'alpha minus random', panels, sameScale: false })
}

function forestRow(name: string, { treatment, overRandom }: Judgement) {
  const { difference, interval } = overRandom!
  return { name, colour: colourOf(treatment.selector), value: difference, ...interval }
}

function learnedPlot(cells: readonly JudgedCell[], all: readonly Cell[]): string | undefined {
  const panels = ['learned', 'flatness', 'least-flat', 'entropy', 'draft-gain'].map((selector) => ({
    title: selector,
    rows: cells.flatMap(({ cell, judgements }) =>
      judgements
        .filter((one) => half(one) && one.treatment.selector === selector && one.overRandom !== undefined)
        .map((one) => forestRow(cellName(cell, all) + (one.treatment.unit === 'token' ? ' (tokens)' : ''), one)),
    ),
  }))
  if (panels[0]!.rows.length === 0) return undefined
  const title = 'The learned policy and fixed rules, everywhere (half kept, 95 %, paired)'
  return forestChart({
    title,
    xLabel: 'alpha minus random',
    panels: panels.filter(({ rows }) => rows.length > 0),
    sameScale: true,
  })
}

/** Mean over seeds: all stop at the same steps to be judged. */
function learningCurvesPlot(cells: readonly JudgedCell[], all: readonly Cell[]): string | undefined {
  const shown = ['full', 'random', 'flatness', 'least-flat', 'draft-gain', 'learned']
  const panels = cells.flatMap(({ cell, judgements }) => {
    const series = judgements
      .filter((one) => (half(one) || one.treatment.selector === 'full') && shown.includes(one.treatment.selector))
      .flatMap((one): Series[] => {
        const curve = meanCurve(one.treatment)
        if (curve.length === 0) return []
        const name =
          one.treatment.selector === 'full' ? `full, equal ${one.treatment.matched}` : treatmentName(one.treatment)
        const dash = one.treatment.matched === 'epochs' ? { dash: '2 3' } : dashOf(one)
        return [{ name, colour: colourOf(one.treatment.selector), ...dash, points: curve }]
      })
    return series.length === 0 ? [] : [{ title: cellName(cell, all), series }]
  })
  if (panels.length === 0) return undefined
  return lineChart({
    title: 'Learning curves, half kept',
    xLabel: 'positions trained on, thousands',
    yLabel: 'alpha, held out',
    xText: (positions) => (positions / 1000).toFixed(0),
    panels,
  })
}

function meanCurve({ arms }: Treatment): { x: number; y: number }[] {
  const curves = arms.map(({ curve }) => curve ?? [])
  const points = Math.min(...curves.map(({ length }) => length))
  const average = (i: number, of: (point: CurvePoint) => number) =>
    curves.reduce((sum, curve) => sum + of(curve[i]!), 0) / curves.length
  return Array.from({ length: points }, (_, i) => ({
    x: average(i, ({ positions }) => positions),
    y: average(i, ({ alpha }) => alpha),
  }))
}
