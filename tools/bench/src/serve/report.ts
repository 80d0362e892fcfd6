import type { CrowdFigures } from './overload.js'
import type { Percentiles, RoundRatio, ServeFigures } from './turn.js'

export interface LevelRow {
  readonly clients: number
  readonly temperature: number
  /** By contestant. */
  readonly figures: Readonly<Record<string, ServeFigures>>
  readonly overPlain: Readonly<Record<string, RoundRatio>>
}

const row = (first: string, cells: readonly string[]): string =>
  first.padEnd(26) + cells.map((cell) => cell.padStart(14)).join('')
/** "-" where no answer began within the turns. */
const number = (value: number, digits: number): string => (Number.isNaN(value) ? '-' : value.toFixed(digits))
const both = ({ p50, p99 }: Percentiles): string[] => [number(p50, 1), number(p99, 1)]

export function printLevels(rows: readonly LevelRow[]): void {
  console.log(
    row('', ['requests/s', 'tokens/s', 'first p50 ms', 'p99', 'token p50 ms', 'p99', 'proposed', 'over plain', '95 %']),
  )
  for (const { clients, temperature, figures, overPlain } of rows) {
    for (const [name, one] of Object.entries(figures)) {
      const { ratio, low, high } = overPlain[name]!
      const rates = [one.requestsPerSecond.toFixed(2), one.tokensPerSecond.toFixed(1)]
      const cells = [
        ...rates,
        ...both(one.firstTokenMs),
        ...both(one.interTokenMs),
        number(one.proposedShare, 2),
        ratio.toFixed(2),
      ]
      if (name !== 'plain') cells.push(`${number(low, 2)} to ${number(high, 2)}`)
      console.log(row(`${clients} at T ${temperature} ${name}`, cells))
    }
  }
}

export function printOverload(overload: {
  readonly few: CrowdFigures
  readonly many: CrowdFigures
  readonly goodputKept: number
}): void {
  console.log(`\n${row('clients', ['answers', 'tokens/s', '429', 'first p50 ms', 'p99', 'token p99 ms'])}`)
  for (const one of [overload.few, overload.many]) {
    const rates = [String(one.answers), one.tokensPerSecond.toFixed(1), String(one.refused)]
    console.log(row(String(one.clients), [...rates, ...both(one.firstTokenMs), number(one.interTokenMs.p99, 1)]))
  }
  const { withoutRetryAfter, longestRetryAfterSeconds, failures } = overload.many
  console.log(
    `goodput kept: ${overload.goodputKept.toFixed(2)}; of the refusals ${withoutRetryAfter} did not say when to come back, the longest said ${longestRetryAfterSeconds} s`,
  )
  for (const failure of failures) console.log(`  failed: ${failure.slice(0, 160)}`)
}
