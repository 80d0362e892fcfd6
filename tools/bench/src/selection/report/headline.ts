/** The two numbers that `bench selection` ends with, and what they are made of. */
import {
  type Cell,
  cellName,
  compareTreatments,
  controlOf,
  fullOf,
  isLearned,
  type Treatment,
  treatmentName,
} from './cells.js'
import type { Comparison } from './compare.js'
import { holm } from './holm.js'
import { percent } from './markdown.js'
import { mean, totalCpuSeconds } from './means.js'
import { criticalValue } from './student-t.js'

/** Learned against random at as many tokens of one cell, on all its held-out windows or on those of one domain. */
export interface LearnedCell extends Comparison {
  readonly cell: string
  /** p, corrected over all cells. */
  readonly corrected: number
}

/** Every cell, unit and share at which both were run and how much they vary is known, over all domains and in each. */
export function learnedCells(cells: readonly Cell[]): LearnedCell[] {
  const found = cells.flatMap((cell) =>
    learnedArms(cell).flatMap((learned) => {
      const control = controlOf(cell, learned)
      if (control === undefined) return []
      const domains = [...new Set(cell.windows.map(({ domain }) => domain))]
      return [undefined, ...(domains.length > 1 ? domains : [])].map((domain) => ({
        cell: [
          cellName(cell, cells),
          `${treatmentName(learned)} ${percent(learned.keep)}`,
          domain ?? 'all domains',
        ].join(', '),
        ...compareTreatments(cell, learned, control, domain),
      }))
    }),
  )
  const known = found.filter(({ standardError }) => Number.isFinite(standardError))
  const corrected = holm(known.map(({ p }) => p))
  return known.map((one, i) => ({ ...one, corrected: corrected[i]! }))
}

function learnedArms(cell: Cell): Treatment[] {
  return cell.treatments.filter(({ selector, matched }) => isLearned(selector) && matched === 'steps')
}

export function worst(cells: readonly LearnedCell[]): LearnedCell | undefined {
  return cells.toSorted((a, b) => a.standardErrors - b.standardErrors)[0]
}

/** The least training with which a selector comes to what full data reaches in the same cell. */
export interface ComputeToFull {
  readonly stage: string
  readonly selector: string
  /** The larger of the next two. */
  readonly share: number
  /** Positions that training used, of those that full data used. */
  readonly positions: number
  /** CPU seconds of selection and training, of those of full data. */
  readonly cpuSeconds: number
  /** Alpha minus that of full data, and half the width of its 95 % interval. */
  readonly difference: number
  readonly halfWidth: number
  readonly reached: boolean
}

/** Of full data's alpha. An interval with a wider half holds 0 for want of seeds, which shows nothing. */
const WIDEST_HALF = 0.02

/**
 * Of all arms of `selector` in the cell that reach full data, the one that took least; where none does, the one that comes
 * closest. An arm reaches it when the 95 % interval of their paired difference does not lie below 0, is narrow
 * enough to say something, and it took less, by both shares. Arms that trained on no fewer positions have nothing to claim; undefined where there are only those.
 */
export function computeToFull(cell: Cell, selector: string, name: string): ComputeToFull | undefined {
  const full = fullOf(cell)
  if (full === undefined) return undefined
  const arms = cell.treatments
    .filter((arm) => arm.selector === selector && arm.matched === 'steps')
    .map((arm) => costToFull(cell, arm, full, name))
    .filter(({ positions }) => positions < 0.999)
  const reached = arms.filter((arm) => arm.reached).toSorted((a, b) => a.share - b.share)
  return reached[0] ?? arms.toSorted((a, b) => b.difference - a.difference)[0]
}

function costToFull(cell: Cell, arm: Treatment, full: Treatment, name: string): ComputeToFull {
  const { difference, standardError, freedom } = compareTreatments(cell, arm, full)
  const isNarrow = (half: number): boolean => half <= WIDEST_HALF * mean(full, (one) => one.alpha)
  const halfWidth = Number.isFinite(standardError) ? criticalValue(0.05, freedom) * standardError : Infinity
  const positions = mean(arm, (one) => one.positions.used) / mean(full, (one) => one.positions.used)
  const cpuSeconds = mean(arm, totalCpuSeconds) / mean(full, totalCpuSeconds)
  const share = Math.max(positions, cpuSeconds)
  return {
    stage: name,
    selector: `${treatmentName(arm)} ${percent(arm.keep)}`,
    share,
    positions,
    cpuSeconds,
    difference,
    halfWidth,
    reached: isNarrow(halfWidth) && difference + halfWidth >= 0 && share < 1,
  }
}
