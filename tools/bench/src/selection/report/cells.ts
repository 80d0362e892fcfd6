/** Arms in their order: a cell is what is compared within, a treatment one way to select in it, with all its seeds. */
import type { ArmResult } from '../arm-result.js'
import { compare, type Comparison } from './compare.js'
import type { Judged } from './judged.js'
import type { HeldOutWindow, Results } from './results.js'

export interface Treatment {
  readonly selector: string
  readonly unit: ArmResult['unit']
  readonly keep: number
  readonly matched: ArmResult['matched']
  /** One a seed. */
  readonly arms: readonly ArmResult[]
}

export interface Cell {
  readonly experiment: ArmResult['experiment']
  readonly target: string
  readonly available: number
  readonly loss?: string
  readonly windows: readonly HeldOutWindow[]
  readonly treatments: readonly Treatment[]
}

const experiments = ['closed-form', 'online', 'gradients', 'gradients-late', 'causal-lm'] as const

/** By experiment, target and loss; within, the cell with most data first. */
export function cellsOf({ arms, headers }: Results): Cell[] {
  const groups = Map.groupBy(arms, (arm) => [arm.experiment, arm.target, arm.available, arm.loss].join('|'))
  const cells = [...groups.values()].map((group): Cell => {
    const { experiment, target, available, loss } = group[0]!
    const { heldOutWindows: windows } = headers.get(target)!.dataset
    const treatments = treatmentsOf(group)
    return { experiment, target, available, windows, treatments, ...(loss === undefined ? {} : { loss }) }
  })
  const rank = (cell: Cell) => experiments.indexOf(cell.experiment)
  return cells.toSorted(
    (a, b) =>
      rank(a) - rank(b) ||
      a.target.localeCompare(b.target) ||
      (a.loss ?? '').localeCompare(b.loss ?? '') ||
      b.available - a.available,
  )
}

function treatmentsOf(arms: readonly ArmResult[]): Treatment[] {
  const groups = Map.groupBy(arms, ({ selector, unit, keep, matched }) => [selector, unit, keep, matched].join('|'))
  return [...groups.values()].map((group) => {
    const { selector, unit, keep, matched } = group[0]!
    return { selector, unit, keep, matched, arms: group.toSorted((a, b) => a.seed - b.seed) }
  })
}

export function cellName({ experiment, target, available, loss }: Cell, all: readonly Cell[] = []): string {
  const twins = all.filter(
    (cell) => cell.experiment === experiment && cell.target === target && cell.loss === loss,
  ).length
  const parts = [experiment, target, ...(loss === undefined ? [] : [loss])]
  return parts.join(', ') + (twins > 1 ? `, ${available} positions` : '')
}

export function treatmentName({ selector, unit }: Pick<Treatment, 'selector' | 'unit'>): string {
  return unit === 'token' ? `${selector} (tokens)` : selector
}

export interface Wanted {
  readonly selector: string
  readonly keep?: number
  readonly unit?: ArmResult['unit']
  readonly matched?: ArmResult['matched']
}

/** `unit` and `matched` are samples and steps unless given, `keep` half (all of "full"). */
export function find(cell: Cell, wanted: Wanted): Treatment | undefined {
  const { selector, keep = selector === 'full' ? 1 : 0.5, unit = 'sample', matched = 'steps' } = wanted
  return cell.treatments.find(
    (found) => found.selector === selector && found.keep === keep && found.unit === unit && found.matched === matched,
  )
}

/**
 * The random arm at the same number of tokens: of single tokens for those who choose tokens, where it was run. Who keeps
 * everything and only weighs it is held against all of it unweighed; random tokens against random samples.
 */
export function controlOf(cell: Cell, { selector, keep, unit }: Treatment): Treatment | undefined {
  if (selector === 'random') return unit === 'token' ? find(cell, { selector, keep }) : undefined
  if (keep === 1) return selector === 'full' ? undefined : find(cell, { selector: 'full' })
  return find(cell, { selector: 'random', keep, unit }) ?? find(cell, { selector: 'random', keep })
}

/** What full data reaches: trained for as many epochs as the selections where that was run, else as many steps. */
export function fullOf(cell: Cell): Treatment | undefined {
  return find(cell, { selector: 'full', matched: 'epochs' }) ?? find(cell, { selector: 'full' })
}

/** A treatment against its control; what is not known of either's seeds is taken from random samples of the same share. */
export function compareTreatments(cell: Cell, treatment: Treatment, control: Treatment, domain?: string): Comparison {
  const spare = find(cell, { selector: 'random', keep: treatment.keep })
  const [one, other] = [judge(cell, treatment, domain), judge(cell, control, domain)]
  return compare(one, other, spare && judge(cell, spare, domain))
}

/** The choice of the bandit or of the bins' weights, over all samples or within every domain. */
export const learnedSelectors: readonly string[] = ['learned', 'stratified-learned']
export const isLearned = (selector: string): boolean => learnedSelectors.includes(selector)

/** On the cell's held-out windows, each the whole response to a prompt, or on those of one domain. */
export function judge(cell: Cell, treatment: Treatment, domain?: string): Judged {
  const windows = cell.windows
    .map((_, i) => i)
    .filter((i) => domain === undefined || cell.windows[i]!.domain === domain)
  const solved = cell.experiment === 'closed-form' || cell.experiment === 'online'
  return {
    positions: windows.map((i) => cell.windows[i]!.positions),
    alpha: treatment.arms.map(({ windowAlpha }) => windows.map((i) => windowAlpha[i]!)),
    exact: solved && !isDrawn(treatment),
  }
}

/** Whether another seed would have kept something else: learned values are alike within a bin, and ties are drawn. */
function isDrawn({ selector, keep }: Treatment): boolean {
  return keep < 1 && /^(stratified-)?(random$|learned$|sampled-)/.test(selector)
}
