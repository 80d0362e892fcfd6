/** Acceptance lengths, cost, and alpha by flatness. */
import { flatnessEdges } from '../arm-result.js'
import { eachCell } from './alpha-tables.js'
import { type Cell, compareTreatments, controlOf, find, fullOf, judge, type Treatment, treatmentName } from './cells.js'
import { holm } from './holm.js'
import { meanAlpha, seedMean } from './judged.js'
import type { JudgedCell } from './judged-cell.js'
import { fixed, signed, table } from './markdown.js'
import { mean, totalCpuSeconds } from './means.js'
import type { SelectedSets } from './selected-sets.js'

const telling = [
  'full',
  'random',
  'flatness',
  'stratified-flatness',
  'least-flat',
  'stratified-least-flat',
  'entropy',
  'draft-gap',
  'stratified-draft-gap',
  'draft-gain',
  'stratified-draft-gain',
  'learned',
  'stratified-learned',
]

/** The main arms at half, in the order of `telling`. */
function mainArms({ cell }: JudgedCell): Treatment[] {
  const arms = telling.flatMap((selector) => [
    selector === 'full' ? fullOf(cell) : find(cell, { selector }),
    ...(selector === 'full' ? [] : [find(cell, { selector, unit: 'token' })]),
  ])
  return arms.filter((arm) => arm !== undefined)
}

export function lengthTables(cells: readonly JudgedCell[]): string {
  return eachCell(cells, (cell) => {
    const lengths = (arm: Treatment, t: 't0' | 't1') =>
      arm.arms[0]!.lengths[t].map((_, i) =>
        fixed(
          mean(arm, (one) => one.lengths[t][i]!),
          3,
        ),
      )
    return table(
      ['selector', ...['T=0', 'T=1'].flatMap((t) => [1, 2, 3, 4, 5].map((gamma) => `${t}, ${gamma}`))],
      mainArms(cell).map((arm) => [treatmentName(arm), ...lengths(arm, 't0'), ...lengths(arm, 't1')]),
    )
  })
}

/** What each of the main arms makes of each domain: alpha, and the difference from random there. */
export function domainTables(cells: readonly JudgedCell[]): string {
  return eachCell(cells, (one) => {
    const domains = [...new Set(one.cell.windows.map(({ domain }) => domain))]
    const arms = mainArms(one)
    const columns = domains.map((domain) => domainColumns(one.cell, arms, domain))
    return table(
      ['selector', ...domains.flatMap((domain) => [domain, 'over random'])],
      arms.map((arm, i) => [treatmentName(arm), ...columns.flatMap((column) => column[i]!)]),
    )
  })
}

/** Differences are bold where they are no noise, corrected over the column. */
function domainColumns(cell: Cell, arms: readonly Treatment[], domain: string): [string, string][] {
  const found = arms.map((arm) => {
    const control = controlOf(cell, arm)
    const judged = judge(cell, arm, domain)
    const against = control && compareTreatments(cell, arm, control, domain)
    return { alpha: meanAlpha(judged.positions, seedMean(judged)), against }
  })
  const corrected = holm(found.map(({ against }) => against?.p ?? 1))
  return found.map(({ alpha, against }, i) => {
    const text = against ? signed(against.difference) : ''
    return [fixed(alpha), corrected[i]! < 0.05 ? `**${text}**` : text]
  })
}

export function costTables(cells: readonly JudgedCell[]): string {
  return eachCell(cells, (one) => {
    const full = fullOf(one.cell)
    return table(
      ['selector', 'positions used', 'CPU s selection', 'CPU s training', 'CPU over full', 'alpha'],
      mainArms(one).map((arm) => {
        const ratio = full === undefined ? NaN : mean(arm, totalCpuSeconds) / mean(full, totalCpuSeconds)
        return [
          treatmentName(arm),
          mean(arm, ({ positions }) => positions.used).toFixed(0),
          fixed(
            mean(arm, ({ cpuSeconds }) => cpuSeconds.selection),
            2,
          ),
          fixed(
            mean(arm, ({ cpuSeconds }) => cpuSeconds.training),
            2,
          ),
          fixed(ratio, 2),
          fixed(mean(arm, ({ alpha }) => alpha)),
        ]
      }),
    )
  })
}

/** Alpha where the target is peaked and where it is flat: full data, then what each selector changes. */
export function flatnessBinTables(cells: readonly JudgedCell[], sets: readonly SelectedSets[]): string {
  return eachCell(cells, (one) => {
    const full = fullOf(one.cell)
    if (full === undefined) return undefined
    const bins = (arm: Treatment) =>
      full.arms[0]!.alphaByFlatness.map((_, i) => mean(arm, (a) => a.alphaByFlatness[i] ?? NaN))
    const trained = bins(full)
    const rows = mainArms(one)
      .filter((arm) => arm !== full)
      .map((arm) => [treatmentName(arm), ...bins(arm).map((value, i) => signed(value - trained[i]!))])
    const reference = sets.find(({ target }) => target === one.cell.target)?.before
    return table(
      ['selector', ...binNames()],
      [
        ...(reference ? [['reference draft', ...reference.alphaByFlatness.map((value) => fixed(value))]] : []),
        ['full', ...trained.map((value) => fixed(value))],
        ...rows,
      ],
    )
  })
}

function binNames(): string[] {
  const edges = [...flatnessEdges]
  return [`N < ${edges[0]}`, ...edges.slice(1).map((high, i) => `${edges[i]} to ${high}`), `N >= ${edges.at(-1)}`]
}
