/** Single numbers for prose: `{{over-random closed-form smollm2 flatness keep=0.3 unit=token}}`, so that no text goes stale. */
import { fullOf } from './cells.js'
import type { JudgedCell } from './judged-cell.js'
import type { Judgement } from './judgements.js'
import { fixed, percent, signed } from './markdown.js'
import { mean, totalCpuSeconds } from './means.js'

export class NotMeasuredError extends Error {
  constructor(place: string) {
    super(`nothing was measured of "${place}"`)
  }
}

type Figure = (found: Judgement, cell: JudgedCell) => string

const figures: Readonly<Record<string, Figure>> = {
  alpha: ({ alpha }) => fixed(alpha),
  'over-random': ({ overRandom }) => signed(overRandom!.difference),
  'over-random-errors': ({ overRandom }) => signed(overRandom!.standardErrors, 1),
  'over-full': ({ overFull }) => signed(overFull!.difference),
  seeds: ({ treatment }) => String(treatment.arms.length),
  'positions-share': ({ treatment }, { cell }) => shareOfFull(cell, treatment, ({ positions }) => positions.used),
  'cpu-share': ({ treatment }, { cell }) => shareOfFull(cell, treatment, totalCpuSeconds),
}

function shareOfFull(cell: JudgedCell['cell'], arm: Judgement['treatment'], of: Parameters<typeof mean>[1]): string {
  return percent(mean(arm, of) / mean(fullOf(cell)!, of))
}

/** Throws where the expression names nothing that was measured. */
export function figure(expression: string, cells: readonly JudgedCell[]): string {
  const [name, ...place] = expression.split(/\s+/)
  const write = figures[name!]
  if (write === undefined) throw new Error(`there is no figure "${name}": ${Object.keys(figures).join(', ')}`)
  const { cell, judgement } = locate(place.join(' '), cells)
  return write(judgement, cell)
}

/** "experiment target selector", then any of keep=, unit=, loss=, matched=, available= (the most unless given). */
export function locate(place: string, cells: readonly JudgedCell[]): { cell: JudgedCell; judgement: Judgement } {
  const [experiment, target, selector, ...rest] = place.split(/\s+/)
  const named = Object.fromEntries(rest.map((part) => part.split('=') as [string, string]))
  const keep = Number(named['keep'] ?? (selector === 'full' ? 1 : 0.5))
  const { unit = 'sample', matched = 'steps', loss, available } = named
  const cell = cells.find(
    (one) =>
      one.cell.experiment === experiment &&
      one.cell.target === target &&
      (loss === undefined || one.cell.loss === loss) &&
      (available === undefined || one.cell.available === Number(available)),
  )
  const judgement = cell?.judgements.find(
    ({ treatment: t }) => t.selector === selector && t.keep === keep && t.unit === unit && t.matched === matched,
  )
  if (cell === undefined || judgement === undefined) throw new NotMeasuredError(place)
  return { cell, judgement }
}
