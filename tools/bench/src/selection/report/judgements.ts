/** Every treatment of a cell, held against random and against full data. */
import { seededRandom } from '@plateau/speculation'
import { bootstrap, interval, type Interval, minus } from './bootstrap.js'
import { type Cell, compareTreatments, controlOf, fullOf, judge, type Treatment } from './cells.js'
import type { Comparison } from './compare.js'
import { holm } from './holm.js'
import { meanAlpha, seedMean } from './judged.js'

export interface Judgement {
  readonly treatment: Treatment
  readonly alpha: number
  readonly interval: Interval
  /** Nothing for full data, and where no random arm kept as much. */
  readonly overRandom?: Against & { readonly control: Treatment }
  readonly overFull?: Against
}

export interface Against extends Comparison {
  readonly interval: Interval
  /** p, corrected over the selectors that keep the same share of the same cell. */
  readonly corrected: number
}

/** Resampled worlds are the same on every run. */
const bootstrapSeed = 20_260_118

export function judgementsOf(cell: Cell): Judgement[] {
  const { treatments } = cell
  const judged = treatments.map((treatment) => judge(cell, treatment))
  const worlds = bootstrap(judged, seededRandom(bootstrapSeed))
  const against = (i: number, other: Treatment): Comparison & { interval: Interval } => {
    const j = treatments.indexOf(other)
    return { ...compareTreatments(cell, treatments[i]!, other), interval: interval(minus(worlds[i]!, worlds[j]!)) }
  }
  const full = fullOf(cell)
  const found = treatments.map((treatment, i) => {
    const control = controlOf(cell, treatment)
    return {
      treatment,
      alpha: meanAlpha(judged[i]!.positions, seedMean(judged[i]!)),
      interval: interval(worlds[i]!),
      ...(control === undefined ? {} : { overRandom: { ...against(i, control), control } }),
      ...(full === undefined || full === treatment ? {} : { overFull: against(i, full) }),
    }
  })
  return correctFamilies(found)
}

type Uncorrected = Omit<Judgement, 'overRandom' | 'overFull'> & {
  overRandom?: Omit<Against, 'corrected'> & { control: Treatment }
  overFull?: Omit<Against, 'corrected'>
}

function correctFamilies(found: readonly Uncorrected[]): Judgement[] {
  return found.map((one) => {
    const family = found.filter(({ treatment }) => treatment.keep === one.treatment.keep)
    const corrected = (of: (other: Uncorrected) => { p: number } | undefined): number => {
      const members = family.filter((other) => of(other) !== undefined)
      return holm(members.map((other) => of(other)!.p))[members.indexOf(one)]!
    }
    const { overRandom, overFull, ...rest } = one
    return {
      ...rest,
      ...(overRandom && { overRandom: { ...overRandom, corrected: corrected((other) => other.overRandom) } }),
      ...(overFull && { overFull: { ...overFull, corrected: corrected((other) => other.overFull) } }),
    }
  })
}
