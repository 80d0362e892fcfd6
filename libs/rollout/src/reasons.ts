import type { Evidence } from './evidence.js'

const WHAT: Readonly<Record<Evidence['comparison'], { readonly mean: string; readonly over: string }>> = {
  windows: { mean: 'alpha', over: 'positions of held-out windows' },
  'live-pairs': { mean: 'alpha', over: 'live positions' },
  'live-acceptance': { mean: 'acceptance', over: 'live proposals' },
}

/** "alpha 0.412 against 0.523 over 210 live positions, a difference of -0.111 (-0.160 to -0.062), where -0.030 is allowed". */
export function numbersOf(evidence: Evidence): string {
  const { comparison, value, otherValue, positions, difference, low, high, margin } = evidence
  const { mean, over } = WHAT[comparison]
  const interval = `${difference.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`
  const bound = margin < 0 ? `${(-margin).toFixed(3)} is the least` : `${(-margin).toFixed(3)} is allowed`
  const means = `${mean} ${value.toFixed(3)} against ${otherValue.toFixed(3)}`
  return `${means} over ${positions} ${over}, a difference of ${interval}, where ${bound}`
}

/** How much was compared so far. */
export function atOf(pairs: { readonly count: number }, windows: { readonly count: number }): string {
  return `${namesOf(pairs.count, 'live position')} and ${namesOf(windows.count, 'position')} of held-out windows`
}

export function namesOf(count: number, name: string): string {
  return `${count} ${name}${count === 1 ? '' : 's'}`
}
