import type { Audit } from './audit.js'
import type { Criterion } from './criteria.js'
import type { Failure } from './load.js'
import type { SoakOptions } from './options.js'
import type { Ending } from './supervise.js'

export interface SoakReport {
  readonly options: SoakOptions
  /** Ended early by a signal: the criteria are of the part that ran. */
  readonly interrupted: boolean
  readonly seconds: number
  readonly requests: {
    readonly planned: number
    readonly sent: number
    readonly outcomes: Readonly<Record<string, number>>
    readonly kinds: Readonly<Record<string, number>>
    /** By status: quotas (429), targets that are away (503). */
    readonly refusals: Readonly<Record<string, number>>
  }
  readonly outages: readonly { readonly what: string; readonly seconds: number }[]
  readonly endings: readonly Ending[]
  readonly audit: Audit
  readonly criteria: readonly Criterion[]
  /** The first failures that nothing explains. */
  readonly unexplained: readonly Failure[]
}

export function hasFailed({ criteria }: SoakReport): boolean {
  return criteria.some(({ verdict }) => verdict === 'FAILED')
}

/** What a person reads at the end. */
export function textOf(report: SoakReport): string {
  const { requests, audit, criteria, outages, endings } = report
  const counts = (of: Readonly<Record<string, number>>) =>
    Object.entries(of)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ')
  const lines = [
    `${report.seconds.toFixed(0)} s${report.interrupted ? ', ended early' : ''}`,
    `requests: ${requests.sent} of ${requests.planned} sent; ${counts(requests.outcomes)}`,
    ...(Object.keys(requests.refusals).length > 0 ? [`refused by status: ${counts(requests.refusals)}`] : []),
    `windows: ${audit.acknowledged} acknowledged, ${audit.decided} decided`,
    ...(outages.length > 0
      ? [`outages: ${outages.map(({ what, seconds }) => `${what} (${seconds.toFixed(0)} s)`).join('; ')}`]
      : []),
    '',
    ...table(criteria),
    ...audit.problems,
    ...report.unexplained.map(({ kind, status, detail }) => `request "${kind}" failed: ${status} ${detail}`),
    ...endings.map(({ name, during, said }) => `${name} ended by itself (${during ?? 'in calm'}): ${said.slice(-400)}`),
  ]
  return `${lines.join('\n')}\n`
}

function table(criteria: readonly Criterion[]): string[] {
  const rows = criteria.map(({ name, found, bound, verdict }) => [name, found, bound, verdict])
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd((widths[i] ?? 0) + 2))
      .join('')
      .trimEnd(),
  )
}
