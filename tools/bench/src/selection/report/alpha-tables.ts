/** Tables of held-out alpha: selectors, keep ratios, units, losses, budgets, domains. */
import { type Cell, cellName, find, treatmentName } from './cells.js'
import type { Judgement } from './judgements.js'
import { fixed, percent, probability, sections, signed, table } from './markdown.js'
import { mean } from './means.js'
import type { JudgedCell } from './judged-cell.js'

const retainRatios = [1, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05]

/** All selectors that keep half, or all and weigh it, best first; full data above them. */
export function selectorTables(cells: readonly JudgedCell[]): string {
  return eachCell(cells, (cell) => {
    const all = cell.judgements.filter(({ treatment }) => [0.5, 1].includes(treatment.keep))
    const rows = all.toSorted((a, b) => Number(isFull(b)) - Number(isFull(a)) || b.alpha - a.alpha)
    return table(
      [
        'selector',
        'positions',
        'seeds',
        'alpha [95 %]',
        'over random [95 %]',
        'standard errors',
        'p (Holm)',
        'over full',
      ],
      rows.map(selectorRow),
    )
  })
}

function selectorRow(one: Judgement): string[] {
  const { treatment, alpha, interval, overRandom, overFull } = one
  const against = overRandom
    ? [
        `${signed(overRandom.difference)} [${signed(overRandom.interval.low)}, ${signed(overRandom.interval.high)}]`,
        signed(overRandom.standardErrors, 1),
        probability(overRandom.corrected),
      ]
    : ['', '', '']
  return [
    treatment.keep === 1 && !isFull(one) ? `${treatment.selector}, all data` : armLabel(one),
    mean(treatment, ({ positions }) => positions.kept).toFixed(0),
    String(treatment.arms.length),
    `${fixed(alpha)} [${fixed(interval.low)}, ${fixed(interval.high)}]`,
    ...against,
    overFull ? signed(overFull.difference) : '',
  ]
}

const isFull = ({ treatment }: Judgement): boolean => treatment.selector === 'full'

function armLabel({ treatment }: Judgement): string {
  return treatment.selector === 'full' ? `full, equal ${treatment.matched}` : treatmentName(treatment)
}

/** Selectors by the share that they keep: alpha, and what random has at the same share below it. */
export function ratioTables(cells: readonly JudgedCell[]): string {
  return eachCell(cells, ({ judgements }) => {
    const swept = [...Map.groupBy(judgements, armLabel).values()].filter((line) => line.length > 1)
    if (swept.length === 0) return undefined
    const full = judgements.filter((one) => isFull(one) && one.treatment.matched === 'steps')
    const at = (line: readonly Judgement[], keep: number) => line.find(({ treatment }) => treatment.keep === keep)
    const rows = swept.flatMap((line) => [
      [armLabel(line[0]!), ...retainRatios.map((keep) => fixed(at(keep === 1 ? full : line, keep)?.alpha))],
      ...(line.some(({ overRandom }) => overRandom)
        ? [['– over random', ...retainRatios.map((keep) => differenceCell(at(line, keep)))]]
        : []),
    ])
    return table(['selector', ...retainRatios.map((keep) => percent(keep))], rows)
  })
}

/** The difference; bold where it is no noise after correction. */
function differenceCell(one: Judgement | undefined): string {
  if (one?.overRandom === undefined) return ''
  const text = signed(one.overRandom.difference)
  return one.overRandom.corrected < 0.05 ? `**${text}**` : text
}

/** Losses beside each other, at half: a row a selector, a pair of columns a loss. */
export function lossTables(cells: readonly JudgedCell[]): string {
  const groups = Map.groupBy(
    cells.filter(({ cell }) => cell.loss !== undefined),
    ({ cell }) => `${cell.experiment}, ${cell.target}, ${cell.available} positions`,
  )
  const several = [...groups].filter(([, group]) => group.length > 1)
  return sections(
    several.map(([name, group]) => {
      const halves = group.map(({ judgements }) =>
        judgements.filter(({ treatment: t }) => t.keep === 0.5 || t.selector === 'full'),
      )
      const labels = [...new Set(halves.flatMap((half) => half.map(armLabel)))]
      const shared = labels.filter(
        (label) => halves.filter((half) => half.some((one) => armLabel(one) === label)).length > 1,
      )
      const rows = shared.map((label) => [
        label,
        ...halves.flatMap((half) => {
          const one = half.find((other) => armLabel(other) === label)
          return [fixed(one?.alpha), differenceCell(one)]
        }),
      ])
      return `**${name}**\n\n${table(['selector', ...group.flatMap(({ cell }) => [cell.loss!, 'over random'])], rows)}`
    }),
  )
}

/** Tokens and weights instead of whole samples: the same rule in each unit. */
export function unitTables(cells: readonly JudgedCell[]): string {
  return eachCell(cells, ({ cell, judgements }) => {
    const rules = judgements.filter(({ treatment }) => treatment.unit === 'token' || isWeighted(treatment.selector))
    if (rules.length === 0) return undefined
    const rows = rules
      .toSorted(
        (a, b) => a.treatment.selector.localeCompare(b.treatment.selector) || b.treatment.keep - a.treatment.keep,
      )
      .map((one) => {
        const { selector, keep } = one.treatment
        const whole = find(cell, { selector: selector.replace(/^(weighted|sampled)-/, ''), keep })
        const asSamples = judgements.find(({ treatment }) => treatment === whole)
        return [armLabel(one), percent(keep), fixed(one.alpha), differenceCell(one), fixed(asSamples?.alpha)]
      })
    return table(['selector', 'kept', 'alpha', 'over random', 'whole samples by the same rule'], rows)
  })
}

const isWeighted = (selector: string): boolean => /^(weighted|sampled)-/.test(selector)

/** Full data at equal steps and at equal epochs, beside random and learned halves. */
export function budgetTables(cells: readonly JudgedCell[]): string {
  return eachCell(cells, ({ judgements }) => {
    const shown = judgements.filter(
      (one) =>
        isFull(one) ||
        (one.treatment.keep === 0.5 && ['random', 'learned', 'flatness'].includes(one.treatment.selector)),
    )
    if (shown.filter(isFull).length < 2) return undefined
    return table(
      ['arm', 'different positions', 'positions used', 'steps', 'alpha', 'over full'],
      shown.map((one) => [
        armLabel(one),
        mean(one.treatment, ({ positions }) => positions.kept).toFixed(0),
        mean(one.treatment, ({ positions }) => positions.used).toFixed(0),
        mean(one.treatment, ({ steps }) => steps).toFixed(0),
        fixed(one.alpha),
        one.overFull ? signed(one.overFull.difference) : '',
      ]),
    )
  })
}

/** A table a cell under its name; cells without one are passed over. */
export function eachCell(cells: readonly JudgedCell[], write: (cell: JudgedCell) => string | undefined): string {
  const all = cells.map(({ cell }): Cell => cell)
  return sections(
    cells.flatMap((one) => {
      const text = write(one)
      return text === undefined ? [] : [`**${cellName(one.cell, all)}**\n\n${text}`]
    }),
  )
}
