/** docs/selection.md and its pictures, from the results and a template: everything that `--summary` writes. */
import { budgetTables, lossTables, ratioTables, selectorTables, unitTables } from './alpha-tables.js'
import { type ComputeToFull, computeToFull, type LearnedCell, learnedCells, worst } from './headline.js'
import { computeTable, learnedTable } from './headline-tables.js'
import { cellName, learnedSelectors } from './cells.js'
import { figure, NotMeasuredError } from './figures.js'
import { type JudgedCell, judgedCells } from './judged-cell.js'
import { fixed, percent, probability, signed, table } from './markdown.js'
import { costTables, domainTables, flatnessBinTables, lengthTables } from './other-tables.js'
import { paperAtHalfTables, paperRatioTable } from './paper.js'
import { plots } from './plots.js'
import type { Results } from './results.js'
import { correlationTable, keptTables, overlapTables } from './sets-tables.js'
import { fill } from './template.js'
import { timeToTables } from './time-to.js'

export interface Summary {
  /** The cell in which the learned policy stands worst against random; null before it was run. */
  readonly learnedMinusRandom: Pick<LearnedCell, 'standardErrors' | 'difference' | 'cell' | 'corrected'> | null
  /** The stage in which it reaches full data with least training, else comes closest; random's own beside it. */
  readonly computeToFullData:
    | (ComputeToFull & { readonly random: Pick<ComputeToFull, 'share' | 'reached'> | null })
    | null
  /** Comparisons of learned and random. */
  readonly cells: number
  readonly arms: number
}

export interface Pages {
  /** By file name. */
  readonly pages: ReadonlyMap<string, string>
  readonly pictures: ReadonlyMap<string, string>
  readonly summary: Summary
}

/** `templates` by the name of the page that is made of each. Pure: the same results give the same bytes. */
export function writePages(
  results: Results,
  templates: ReadonlyMap<string, string>,
  missing: 'refused' | 'dashes' = 'refused',
): Pages {
  const judged = judgedCells(results)
  const learned = learnedCells(judged.map(({ cell }) => cell))
  const blocks = blocksOf(results, judged, learned)
  const inProse = (expression: string): string => {
    try {
      return figure(expression, judged)
    } catch (error) {
      if (missing === 'dashes' && error instanceof NotMeasuredError) return '-'
      throw error
    }
  }
  const pages = [...templates].map(([name, text]) => [name, fill(text, blocks, inProse)] as const)
  return { pages: new Map(pages), pictures: plots(judged), summary: summaryOf(results, judged, learned) }
}

function blocksOf(
  results: Results,
  judged: readonly JudgedCell[],
  learned: readonly LearnedCell[],
): Map<string, string> {
  const cells = judged.map(({ cell }) => cell)
  const summary = summaryOf(results, judged, learned)
  return new Map([
    ['datasets', datasetTable(results)],
    ['headline', headlineText(summary)],
    ['learned over random', learnedTable(learned)],
    ['compute to full data', computeTable(cells)],
    ['selectors', selectorTables(judged)],
    ['domains', domainTables(judged)],
    ['lengths', lengthTables(judged)],
    ['retain ratios', ratioTables(judged)],
    ['losses', lossTables(judged)],
    ['units', unitTables(judged)],
    ['budgets', budgetTables(judged)],
    ['cost', costTables(judged)],
    ['time to', timeToTables(judged)],
    ['flatness bins', flatnessBinTables(judged, results.sets)],
    ['overlap', overlapTables(results.sets)],
    ['kept', keptTables(results.sets)],
    ['correlations', correlationTable(results.sets)],
    ['paper at half', paperAtHalfTables(judged)],
    ['paper by ratio', paperRatioTable(judged)],
  ])
}

function datasetTable({ headers }: Results): string {
  return table(
    ['target', 'training positions', 'held-out responses', 'held-out positions', 'domains', 'vocabulary', 'machine'],
    [...headers.values()].map(({ dataset, machine }) => [
      dataset.target,
      String(dataset.trainingPositions),
      String(dataset.heldOutWindows.length),
      String(dataset.heldOutWindows.reduce((sum, { positions }) => sum + positions, 0)),
      [...new Set(dataset.heldOutWindows.map(({ domain }) => domain))].join(', '),
      `${dataset.draftVocabulary} of ${dataset.vocabSize}`,
      `${machine.cores} cores of ${machine.cpu}`,
    ]),
  )
}

function headlineText({ learnedMinusRandom: learned, computeToFullData: compute, cells }: Summary): string {
  const first =
    learned &&
    `- **learned over random**: of ${cells} comparisons the worst is ${signed(learned.difference)} ` +
      `(${signed(learned.standardErrors, 1)} standard errors, p ${probability(learned.corrected)} after Holm): ${learned.cell}.`
  const second =
    compute &&
    `- **compute to full data**: ${compute.reached ? 'reached' : 'not reached, closest'} in ${compute.stage} by ` +
      `${compute.selector}, alpha ${signed(compute.difference)} ± ${fixed(compute.halfWidth)}, with ${percent(compute.positions)} of the ` +
      `positions and ${percent(compute.cpuSeconds)} of the CPU seconds, learning what to select included` +
      (compute.random
        ? `; random there ${compute.random.reached ? 'reaches it with' : 'does not, with'} ${percent(compute.random.share)}.`
        : '.')
  return [first, second].filter((one) => one !== null).join('\n')
}

function summaryOf(results: Results, judged: readonly JudgedCell[], learned: readonly LearnedCell[]): Summary {
  const lowest = worst(learned)
  return {
    learnedMinusRandom: lowest
      ? {
          standardErrors: lowest.standardErrors,
          cell: lowest.cell,
          difference: lowest.difference,
          corrected: lowest.corrected,
        }
      : null,
    computeToFullData: bestStage(judged) ?? null,
    cells: learned.length,
    arms: results.arms.length,
  }
}

function bestStage(judged: readonly JudgedCell[]): Summary['computeToFullData'] | undefined {
  const cells = judged.map(({ cell }) => cell)
  const stages = cells.flatMap((cell) =>
    learnedSelectors.flatMap((selector) => {
      const learned = computeToFull(cell, selector, cellName(cell, cells))
      const random = computeToFull(cell, 'random', cellName(cell, cells)) ?? null
      return learned === undefined ? [] : [{ ...learned, random }]
    }),
  )
  return stages.toSorted(
    (a, b) => Number(b.reached) - Number(a.reached) || (a.reached ? a.share - b.share : b.difference - a.difference),
  )[0]
}
