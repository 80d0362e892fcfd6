/** What a live draft costs until it is good: the number that an operator buys. */
import type { ArmResult, CurvePoint } from '../arm-result.js'
import { eachCell } from './alpha-tables.js'
import { fullOf, type Treatment, treatmentName } from './cells.js'
import type { JudgedCell } from './judged-cell.js'
import { fixed, percent, table } from './markdown.js'
import { mean, totalCpuSeconds } from './means.js'

/** Of the alpha that full data ends with. */
export const goalShare = 0.9

export interface Reached {
  readonly positions: number
  /** Training so far, and what was paid for selection before it. */
  readonly cpuSeconds: number
}

/** Where a curve first comes to `goal`, between its points in a straight line; undefined where it never does. */
export function reaches(curve: readonly CurvePoint[], goal: number): Reached | undefined {
  const at = curve.findIndex(({ alpha }) => alpha >= goal)
  if (at < 0) return undefined
  const [after, before] = [curve[at]!, curve[at - 1]]
  if (before === undefined) return after
  const share = (goal - before.alpha) / (after.alpha - before.alpha)
  const between = (of: (point: CurvePoint) => number) => of(before) + share * (of(after) - of(before))
  return { positions: between((point) => point.positions), cpuSeconds: between((point) => point.cpuSeconds) }
}

/** Mean over seeds; undefined where one of them never comes there. */
export function reachedBy({ arms }: Treatment, goal: number): Reached | undefined {
  const found = arms.map((arm) => armReaches(arm, goal)).filter((one) => one !== undefined)
  if (found.length < arms.length) return undefined
  const average = (of: (one: Reached) => number) => found.reduce((sum, one) => sum + of(one), 0) / found.length
  return { positions: average(({ positions }) => positions), cpuSeconds: average(({ cpuSeconds }) => cpuSeconds) }
}

function armReaches(arm: ArmResult, goal: number): Reached | undefined {
  const { curve = [] } = arm
  const found = reaches(curve, goal)
  if (found === undefined) return undefined
  const paidBefore = totalCpuSeconds(arm) - curve.at(-1)!.cpuSeconds
  return { positions: found.positions, cpuSeconds: found.cpuSeconds + paidBefore }
}

export function timeToTables(cells: readonly JudgedCell[]): string {
  return eachCell(cells, ({ cell }) => {
    const full = fullOf(cell)
    const trained = cell.treatments.filter(({ arms }) => arms.every(({ curve }) => curve !== undefined))
    if (full === undefined || trained.length === 0) return undefined
    const goal = goalShare * mean(full, ({ alpha }) => alpha)
    const rows = trained
      .map((arm) => ({ arm, reached: reachedBy(arm, goal) }))
      .toSorted((a, b) => (a.reached?.positions ?? Infinity) - (b.reached?.positions ?? Infinity))
    return table(
      ['selector', 'kept', `kept tokens to ${fixed(goal, 3)}`, 'CPU seconds'],
      rows.map(({ arm, reached }) => [
        arm.selector === 'full' ? `full, equal ${arm.matched}` : treatmentName(arm),
        percent(arm.keep),
        reached === undefined ? 'not reached' : reached.positions.toFixed(0),
        reached === undefined ? '' : fixed(reached.cpuSeconds, 1),
      ]),
    )
  })
}
