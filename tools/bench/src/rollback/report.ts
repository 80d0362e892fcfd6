import { mean, quantile } from '../statistics.js'
import { outcomePlaces, type Outcome, type OutcomeFigures } from './outcome.js'
import type { CopyOutcome } from './rounds.js'
import type { SimulatedFigures } from './simulated.js'

export interface CopyFigures {
  readonly aaRuns: number
  readonly falseRejections: number
  /** Also of versions that were confirmed before. */
  readonly falseRollbacks: number
  readonly undecided: number
  readonly statedRate: number
  readonly toLiveSeconds: Times
  readonly toConfirmedSeconds: Times
}

interface Times {
  readonly mean: number
  readonly p50: number
  readonly max: number
}

export function copyFigures(
  copies: readonly CopyOutcome[],
  rolledBack: (version: number) => boolean,
  statedRate: number,
): CopyFigures {
  const known = (times: readonly (number | undefined)[]): Times => {
    const values = times.filter((time) => time !== undefined)
    return { mean: mean(values), p50: quantile(values, 0.5), max: quantile(values, 1) }
  }
  return {
    aaRuns: copies.length,
    falseRejections: copies.filter(({ end }) => end === 'rejected').length,
    falseRollbacks: copies.filter(({ version }) => rolledBack(version)).length,
    undecided: copies.filter(({ end }) => end === 'undecided').length,
    statedRate,
    toLiveSeconds: known(copies.map(({ liveSeconds }) => liveSeconds)),
    toConfirmedSeconds: known(copies.map(({ confirmedSeconds }) => confirmedSeconds)),
  }
}

const row = (first: string, ...cells: (string | number)[]): string =>
  first.padEnd(24) + cells.map((cell) => String(cell).padStart(15)).join('')

export function printOutcome(kind: string, { version, place, requests, seconds, reason }: Outcome): void {
  process.stderr.write(
    `  ${kind} v${version}: ${place}, ${requests} requests, ${seconds.toFixed(1)} s: ${reason.slice(0, 160)}\n`,
  )
}

export function printKinds(kinds: Readonly<Record<string, OutcomeFigures>>): void {
  console.log(`\n${row('stopped in', ...outcomePlaces)}`)
  for (const [kind, { places }] of Object.entries(kinds))
    console.log(row(kind, ...outcomePlaces.map((place) => places[place] ?? 0)))
  console.log(`\n${row('until it was off traffic', 'requests p50', 'most', 'seconds p50', 'most')}`)
  for (const [kind, figures] of Object.entries(kinds)) {
    const { medianRequests, maxRequests, medianSeconds, maxSeconds, differences } = figures
    console.log(row(kind, medianRequests, maxRequests, medianSeconds.toFixed(1), maxSeconds.toFixed(1)))
    const seen = Object.entries(differences).map(([name, difference]) => `${difference.toFixed(3)} in ${name}`)
    if (seen.length > 0) console.log(`  the evidence says, on average, ${seen.join(', ')}`)
  }
}

export function printCopies(figures: CopyFigures): void {
  const { aaRuns, falseRejections, falseRollbacks, undecided, statedRate } = figures
  const { toLiveSeconds: live, toConfirmedSeconds: confirmed } = figures
  console.log(
    `\n${aaRuns} versions with the weights that were live: ${falseRejections} rejected, ${falseRollbacks} rolled`,
  )
  console.log(`back, ${undecided} undecided; allowed are ${(100 * statedRate).toFixed(1)} % of them (errorRate)`)
  const seconds = ({ p50, max }: Times): string => `${p50.toFixed(1)} s (most ${max.toFixed(1)} s)`
  console.log(`from announcement to live ${seconds(live)}, to confirmed ${seconds(confirmed)}`)
}

export function printSimulated(simulated: readonly SimulatedFigures[]): void {
  console.log(`\n${row('simulated', 'alpha by', 'versions', 'rejected', 'rolled back', 'positions p50', 'most')}`)
  for (const { name, difference, trials, rejected, rolledBack, positionsToLeave } of simulated) {
    const { median, max } = positionsToLeave
    console.log(row(name, difference.toFixed(3), trials, rejected, rolledBack, median, max))
  }
}
