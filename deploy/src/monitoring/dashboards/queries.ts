import type { Dashboard } from './dashboard.js'
import { variables } from './variables.js'

export interface PanelQuery {
  readonly dashboard: string
  readonly panel: string
  readonly expr: string
}

export function queriesOf({ uid, rows }: Dashboard): PanelQuery[] {
  return rows
    .flatMap(({ panels }) => panels)
    .flatMap(({ title, queries }) => queries.map(({ expr }) => ({ dashboard: uid, panel: title, expr })))
}

/** As Grafana would send it for a short range, everything being chosen. */
export function inPrometheus(expr: string, interval = '1m'): string {
  const ranged = expr.replaceAll('$__rate_interval', interval)
  return variables.reduce((query, { name }) => query.replaceAll(`$${name}`, '.*'), ranged)
}
