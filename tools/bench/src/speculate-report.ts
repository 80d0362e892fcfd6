import { contestantNames, type ContestantName, type TurnsRow } from './speculate-turns.js'

type ByDomain = Record<string, Record<string, number>>

/** By domain and temperature. */
export interface SpeculateSummary {
  readonly overPlain: ByDomain
  /** Over node-llama-cpp without speculation. */
  readonly overLlamaCpp: ByDomain | undefined
  readonly alpha: ByDomain
  readonly overheadShare: ByDomain
}

export function summarise(rows: readonly TurnsRow[]): SpeculateSummary {
  const by = (of: (row: TurnsRow) => number): ByDomain => {
    const found: ByDomain = {}
    for (const row of rows) (found[row.domain] ??= {})[row.temperature] = of(row)
    return found
  }
  const over = (name: ContestantName) => by(({ rates }) => rates.speculative! / rates[name]!)
  return {
    overPlain: over('plain'),
    overLlamaCpp: rows[0]?.rates['llama.cpp'] === undefined ? undefined : over('llama.cpp'),
    alpha: by(({ drafted }) => drafted.alpha),
    overheadShare: by(({ drafted }) => drafted.overheadShare),
  }
}

/** Speeds, then why they are what they are. */
export function printTurns(title: string, rows: readonly TurnsRow[]): void {
  console.log(`\n${title}`)
  const names = contestantNames.filter((name) => rows[0]?.rates[name] !== undefined)
  const left = ({ domain, temperature }: TurnsRow) => `${domain} T=${temperature}`.padEnd(14)
  const cells = (values: readonly string[], width: number) => values.map((value) => value.padStart(width)).join('')
  console.log('tokens/s      ' + cells([...names, 'over plain'], 18))
  for (const row of rows) {
    const { rates } = row
    const ratio = (rates.speculative! / rates.plain!).toFixed(2)
    console.log(left(row) + cells([...names.map((name) => rates[name]!.toFixed(1)), ratio], 18))
  }
  const columns = ['alpha', 'length', 'proposed', 'draft ms', 'target ms', 'other ms', 'overhead']
  console.log(`\na round       ${cells(columns, 10)}   accepted at position 1, 2, ...`)
  for (const row of rows) {
    const { alpha, acceptanceLength, proposed, roundMs, overheadShare, acceptedByPosition } = row.drafted
    const numbers = [alpha, acceptanceLength, proposed, roundMs.draft, roundMs.target, roundMs.other, overheadShare]
    const positions = acceptedByPosition.filter((share) => share > 0).map((share) => share.toFixed(2))
    console.log(
      `${left(row)}${cells(
        numbers.map((value) => value.toFixed(2)),
        10,
      )}   ${positions.join(' ')}`,
    )
  }
}
