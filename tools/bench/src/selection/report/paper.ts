/** The paper's own numbers (arXiv 2601.18902, tables 1 to 4): mean acceptance length l, LLaMA3-8B-Instruct, five tasks. */
import { type Cell, cellName, find, fullOf, type Treatment } from './cells.js'
import type { JudgedCell } from './judged-cell.js'
import { percent, sections, signedPercent, table } from './markdown.js'
import { mean } from './means.js'

/** At 50 %, temperature 1 (table 1) and 0 (table 4), by our names of the selectors. */
export const paperAtHalf = {
  full: { t1: 2.78, t0: 3.0 },
  random: { t1: 2.46, t0: 2.69 },
  flatness: { t1: 2.56, t0: 2.75 },
  entropy: { t1: 2.49, t0: 2.69 },
  top1: { t1: 2.49, t0: 2.66 },
  margin: { t1: 2.4, t0: 2.61 },
  energy: { t1: 2.49, t0: 2.66 },
  perplexity: { t1: 2.48, t0: 2.69 },
} as const

/** At temperature 1 (tables 2 and 3). */
const paperByRatio = [
  { keep: 0.7, random: 2.44, flatness: 2.58 },
  { keep: 0.6, random: 2.47, flatness: 2.56 },
  { keep: 0.5, random: 2.46, flatness: 2.56 },
  { keep: 0.4, random: 2.45, flatness: 2.55 },
  { keep: 0.3, random: 2.4, flatness: 2.49 },
  { keep: 0.2, random: 2.31, flatness: 2.39 },
  { keep: 0.1, random: 2.08, flatness: 2.14 },
  { keep: 0.05, random: 1.71, flatness: 1.79 },
] as const

/** Tokens accepted a round out of up to five proposed: what the paper's l counts, without the bonus. */
const accepted = (arm: Treatment, t: 't0' | 't1'): number => mean(arm, ({ lengths }) => lengths[t].at(-1)! - 1)

const selectors = Object.keys(paperAtHalf) as (keyof typeof paperAtHalf)[]

/** Every selector over random, then over full data, by temperature: the paper's l, our accepted tokens at 5 proposed. */
export function paperAtHalfTables(cells: readonly JudgedCell[]): string {
  const all = cells.map(({ cell }) => cell)
  return sections(
    (['t1', 't0'] as const).flatMap((t) =>
      (['random', 'full'] as const).map((base) => {
        const paper = selectors.map((selector) => signedPercent(paperAtHalf[selector][t] / paperAtHalf[base][t] - 1))
        const rows = all.map((cell) => [
          cellName(cell, all),
          ...selectors.map((selector) => ours(cell, selector, base, t)),
        ])
        const title = `**Over ${base === 'full' ? 'full data' : 'random'}, temperature ${t === 't1' ? 1 : 0}**`
        return `${title}\n\n${table(['half kept', ...selectors], [['the paper', ...paper], ...rows])}`
      }),
    ),
  )
}

function ours(cell: Cell, selector: string, base: 'random' | 'full', t: 't0' | 't1'): string {
  const [arm, other] = [selector, base].map((name) => (name === 'full' ? fullOf(cell) : find(cell, { selector: name })))
  return arm && other ? signedPercent(accepted(arm, t) / accepted(other, t) - 1) : ''
}

/** Flatness over random by the share that is kept. */
export function paperRatioTable(cells: readonly JudgedCell[]): string {
  const all = cells.map(({ cell }) => cell)
  const swept = all.filter((cell) => find(cell, { selector: 'flatness', keep: 0.3 }) !== undefined)
  const rows = paperByRatio.map(({ keep, random, flatness }) => [
    percent(keep),
    signedPercent(flatness / random - 1),
    ...swept.map((cell) => {
      const [flat, control] = [find(cell, { selector: 'flatness', keep }), find(cell, { selector: 'random', keep })]
      return flat && control ? signedPercent(accepted(flat, 't1') / accepted(control, 't1') - 1) : ''
    }),
  ])
  return table(['kept', 'paper', ...swept.map((cell) => cellName(cell, all))], rows)
}
