import { type Cell, cellName, learnedSelectors } from './cells.js'
import { type ComputeToFull, computeToFull, type LearnedCell } from './headline.js'
import { fixed, percent, probability, sections, signed, table } from './markdown.js'

/** Learned over random at half over all domains, then in every cell, folded; the worst first. */
export function learnedTable(cells: readonly LearnedCell[]): string {
  if (cells.length === 0) return sections([])
  const short = cells.filter(({ cell }) => cell.endsWith('50 %, all domains'))
  return `${rowsOf(short)}\n\n<details><summary>All ${cells.length}</summary>\n\n${rowsOf(cells)}\n\n</details>`
}

function rowsOf(cells: readonly LearnedCell[]): string {
  return table(
    ['cell', 'learned over random', 'standard error', 'standard errors', 'p', 'p (Holm)'],
    cells
      .toSorted((a, b) => a.standardErrors - b.standardErrors)
      .map((one) => [
        one.cell,
        signed(one.difference),
        fixed(one.standardError),
        signed(one.standardErrors, 1),
        probability(one.p),
        probability(one.corrected),
      ]),
  )
}

/** The selectors whose compute to full data is of interest: what is claimed, and what it has to be better than. */
const compared = [...learnedSelectors, 'random', 'flatness', 'least-flat', 'draft-gain']

export function computeTable(cells: readonly Cell[]): string {
  const rows = cells.flatMap((cell) =>
    compared.map((selector) => computeToFull(cell, selector, cellName(cell, cells))).filter((one) => one !== undefined),
  )
  if (rows.length === 0) return sections([])
  const heads = ['stage', 'selector', 'of the positions', 'of the CPU seconds', 'alpha over full [95 %]', 'reached']
  return table(heads, rows.map(computeRow))
}

function computeRow({
  stage,
  selector,
  positions,
  cpuSeconds,
  difference,
  halfWidth,
  reached,
}: ComputeToFull): string[] {
  const interval = `[${signed(difference - halfWidth)}, ${signed(difference + halfWidth)}]`
  return [
    stage,
    selector,
    percent(positions),
    percent(cpuSeconds),
    `${signed(difference)} ${interval}`,
    reached ? 'yes' : 'no',
  ]
}
