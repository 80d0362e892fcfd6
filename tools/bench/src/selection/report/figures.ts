/** Single numbers for prose: `{{over-random closed-form smollm2 flatness keep=0.3 unit=token}}`, so that no text goes stale. */
import { type Cell, controlOf, fullOf, type Treatment } from './cells.js'
import type { JudgedCell } from './judged-cell.js'
import { type Judgement, judgementsOf } from './judgements.js'
import { fixed, percent, signed, signedPercent } from './markdown.js'
import { mean, totalCpuSeconds } from './means.js'
import { goalShare, reachedBy } from './time-to.js'

export class NotMeasuredError extends Error {
  constructor(place: string) {
    super(`nothing was measured of "${place}"`)
  }
}

export interface Place {
  readonly cell: Cell
  readonly judgement: Judgement
  /** Of the flatness bins, from the most peaked, where the expression names one. */
  readonly bin: number
}

const figures: Readonly<Record<string, (place: Place) => string>> = {
  alpha: ({ judgement }) => fixed(judgement.alpha),
  'over-random': ({ judgement }) => signed(overRandom(judgement).difference),
  'over-random-errors': ({ judgement }) => signed(overRandom(judgement).standardErrors, 1),
  'over-full': ({ judgement }) => signed(overFull(judgement).difference),
  'over-full-percent': ({ judgement }) =>
    signedPercent(overFull(judgement).difference / (judgement.alpha - overFull(judgement).difference)),
  seeds: ({ judgement }) => {
    const { length } = judgement.treatment.arms
    return length === 1 ? 'one seed' : `${length} seeds`
  },
  steps: ({ judgement }) => mean(judgement.treatment, ({ steps }) => steps).toFixed(0),
  'positions-share': (place) => shareOfFull(place, ({ positions }) => positions.used),
  'cpu-share': (place) => shareOfFull(place, totalCpuSeconds),
  'positions-to-goal': ({ cell, judgement }) => {
    const goal = goalShare * mean(fullIn(cell), ({ alpha }) => alpha)
    return reachedBy(judgement.treatment, goal)?.positions.toFixed(0) ?? 'not reached'
  },
  'length-over-full-percent': ({ cell, judgement }) => {
    const accepted = (arm: Treatment) => mean(arm, ({ lengths }) => lengths.t1.at(-1)! - 1)
    return signedPercent(accepted(judgement.treatment) / accepted(fullIn(cell)) - 1)
  },
  'bin-over-full': ({ cell, judgement, bin }) =>
    signed(binAlpha(judgement.treatment, bin) - binAlpha(fullIn(cell), bin)),
}

/** In the same cell: throw NotMeasuredError where it was not run. */
const fullIn = (cell: Cell): Treatment => measured(fullOf(cell), 'full data')
const overRandom = (judgement: Judgement) => measured(judgement.overRandom, 'random')
const overFull = (judgement: Judgement) => measured(judgement.overFull, 'full data')

function measured<T>(found: T | undefined, what: string): T {
  if (found === undefined) throw new NotMeasuredError(`${what} beside it`)
  return found
}

function shareOfFull({ cell, judgement }: Place, of: Parameters<typeof mean>[1]): string {
  return percent(mean(judgement.treatment, of) / mean(fullIn(cell), of))
}

const binAlpha = (arm: Treatment, bin: number): number =>
  mean(arm, ({ alphaByFlatness }) => alphaByFlatness[bin] ?? Number.NaN)

/** Throws where the expression names nothing that was measured. */
export function figure(expression: string, cells: readonly JudgedCell[]): string {
  const [name, ...place] = expression.split(/\s+/)
  const write = figures[name!]
  if (write === undefined) throw new Error(`there is no figure "${name}": ${Object.keys(figures).join(', ')}`)
  return write(locate(place.join(' '), cells))
}

/** "experiment target selector", then any of keep=, unit=, loss=, matched=, available= (the most unless given), domain=, bin=. */
export function locate(place: string, cells: readonly JudgedCell[]): Place {
  const [experiment, target, selector, ...rest] = place.split(/\s+/)
  const named = Object.fromEntries(rest.map((part) => part.split('=') as [string, string]))
  const keep = Number(named['keep'] ?? (selector === 'full' ? 1 : 0.5))
  const { unit = 'sample', matched = 'steps', loss, available, domain, bin = '0' } = named
  const found = cells.find(
    ({ cell }) =>
      cell.experiment === experiment &&
      cell.target === target &&
      (loss === undefined || cell.loss === loss) &&
      (available === undefined || cell.available === Number(available)),
  )
  const judgement = found?.judgements.find(
    ({ treatment: t }) => t.selector === selector && t.keep === keep && t.unit === unit && t.matched === matched,
  )
  if (found === undefined || judgement === undefined) throw new NotMeasuredError(place)
  const { cell } = found
  return {
    cell,
    judgement: domain === undefined ? judgement : within(cell, judgement.treatment, domain),
    bin: Number(bin),
  }
}

/** Judged on the held-out windows of one domain only. */
function within(cell: Cell, treatment: Treatment, domain: string): Judgement {
  const isOurs = cell.windows.map((window) => window.domain === domain)
  const needed = [...new Set([treatment, controlOf(cell, treatment), fullOf(cell)])].filter((one) => one !== undefined)
  const treatments = needed.map((one) => ({
    ...one,
    arms: one.arms.map((arm) => ({ ...arm, windowAlpha: arm.windowAlpha.filter((_, i) => isOurs[i]) })),
  }))
  return judgementsOf({ ...cell, windows: cell.windows.filter((_, i) => isOurs[i]), treatments })[0]!
}
