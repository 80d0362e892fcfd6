/** Which arms the closed form has, the most telling first. */
import { strategyNames } from '@plateau/flatness'
import type { ArmName } from './arm-result.js'

export type ClosedFormArm = Pick<ArmName, 'selector' | 'unit' | 'keep' | 'seed' | 'available'>

type Cell = Omit<ClosedFormArm, 'available'>

const HALF = 0.5
const OTHER_SHARES = [0.3, 0.1, 0.7, 0.2, 0.05]
const units = ['sample', 'token'] as const
const claimed = ['flatness', 'least-flat', 'draft-gain']
const telling = [...claimed, 'entropy', 'draft-gap']
/** Batches, medians and lengths are facts of windows. */
const ofWindows = ['batch-flatness', 'median-flatness', 'length', 'perplexity']
const ranked = strategyNames.filter((name) => name !== 'none' && name !== 'random')
const others = ranked.filter((name) => !telling.includes(name))
/** What a selector does within a domain, apart from which domain it prefers. */
const stratified = [...claimed, 'draft-gap'].map((name) => `stratified-${name}`)
const sampled = claimed.map((name) => `sampled-${name}`)

/** `available`: amounts of training data, all of it first. */
export function closedFormArms([all, ...less]: readonly number[]): ClosedFormArm[] {
  const of = (available: number, cells: readonly Cell[]) => cells.map((cell) => ({ ...cell, available }))
  const first = [full, ...draws(HALF, 4), ...both([...telling, ...stratified], HALF), ...whole]
  const rest = [...draws(HALF, 8), ...both([...others, ...sampled], HALF)]
  return [
    ...of(all!, first),
    ...less.flatMap((available) => of(available, first)),
    ...OTHER_SHARES.flatMap((keep) => of(all!, [...draws(keep, 4), ...both(claimed, keep)])),
    ...of(all!, rest),
    ...less.flatMap((available) => of(available, rest)),
    ...OTHER_SHARES.flatMap((keep) => of(all!, both([...telling, ...others], keep))),
  ].filter(isFirst)
}

const full: Cell = { selector: 'full', unit: 'sample', keep: 1, seed: 1 }

/** Positions of a bin are worth the same to "learned": it draws too. */
function draws(keep: number, seeds: number): Cell[] {
  return Array.from({ length: seeds }, (_, i) => both(['random', 'learned'], keep, i + 1)).flat()
}

function both(selectors: readonly string[], keep: number, seed = 1): Cell[] {
  return selectors.flatMap((selector) =>
    units
      .filter((unit) => unit === 'sample' || !ofWindows.includes(selector))
      .map((unit) => ({ selector, unit, keep, seed })),
  )
}

/** All positions, each with a weight. */
const whole: readonly Cell[] = ['learned', 'weighted-inverse-flatness', 'weighted-flatness'].map((selector) => {
  return { selector, unit: 'token', keep: 1, seed: 1 }
})

function isFirst(arm: ClosedFormArm, at: number, arms: readonly ClosedFormArm[]): boolean {
  const key = (one: ClosedFormArm) => [one.available, one.selector, one.unit, one.keep, one.seed].join()
  return arms.findIndex((one) => key(one) === key(arm)) === at
}
