import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, test } from 'vitest'
import { stringify } from 'yaml'
import { hasProgram, programPath } from '../../programs.js'
import { problemsOfExpression } from '../promql.js'
import { alertsOf, readRuleFiles } from '../rule-files.js'
import { dashboards } from './all-dashboards.js'
import { grafanaJson, type Dashboard } from './dashboard.js'
import { inPrometheus, queriesOf } from './queries.js'

const folder = join(import.meta.dirname, '../../../helm/plateau/files/dashboards')
const alerts = alertsOf(readRuleFiles().values())
/** Dashboards read what services say themselves, so that they work without our rules. */
const NO_RECORDS = new Map<string, readonly string[]>()

interface Placed {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
}

/** Of panels and of the marks of versions. */
function expressionsOf(dashboard: Dashboard): string[] {
  const { annotations } = grafanaJson(dashboard) as {
    readonly annotations: { readonly list: readonly { expr: string }[] }
  }
  return [...queriesOf(dashboard), ...annotations.list].map(({ expr }) => expr)
}

test('the files of the chart are what the code says (npm run gen:dashboards)', () => {
  expect(readdirSync(folder).toSorted()).toEqual(dashboards.map(({ uid }) => `${uid}.json`).toSorted())
  for (const dashboard of dashboards) {
    expect(JSON.parse(readFileSync(join(folder, `${dashboard.uid}.json`), 'utf8'))).toEqual(grafanaJson(dashboard))
  }
})

describe.each(dashboards.map((dashboard) => [dashboard.uid, dashboard] as const))('%s', (_, dashboard) => {
  const { panels } = grafanaJson(dashboard) as { readonly panels: readonly Placed[] }

  it('has panels that lie beside each other, each with an id and a title of its own', () => {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)} ${y + Math.floor(i / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
    expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBeLessThanOrEqual(24)
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length)
  })

  it('says of every panel what it means', () => {
    const unclear = dashboard.rows
      .flatMap((row) => row.panels)
      .filter(({ description }) => description.length <= 20 || !/[.:]$/.test(description))
    expect(unclear.map(({ title }) => title)).toEqual([])
  })

  it('reads what is declared, as what it is', () => {
    expect(expressionsOf(dashboard).flatMap((expr) => problemsOfExpression(inPrometheus(expr), NO_RECORDS))).toEqual([])
  })

  it('draws the bounds that its alerts have', () => {
    const drawn = dashboard.rows.flatMap(({ panels }) => panels.filter(({ alert }) => alert !== undefined))
    for (const { alert, thresholds = [] } of drawn) {
      const { expr } = alerts.find((rule) => rule.alert === alert)!
      const bounds = Array.from(expr.matchAll(/[<>] (-?[\d.]+)/g), ([, bound]) => Number(bound))
      expect(bounds).toContain(thresholds.at(-1)?.[0])
    }
  })

  it('divides by what the same tenants did', () => {
    const ratios = queriesOf(dashboard).filter(({ expr }) => expr.includes(' / '))
    const mixed = ratios.filter(({ expr }) => {
      const selectors = expr.match(/\{[^}]*\}/g)!
      return new Set(selectors.map((selector) => selector.includes('$tenant'))).size > 1
    })
    expect(mixed).toEqual([])
  })

  it('reads counters over a range that holds two samples, however short the time that is shown', () => {
    const ranges = expressionsOf(dashboard).flatMap((expr) =>
      Array.from(expr.matchAll(/\[([^\]]+)\]/g), ([, range]) => range),
    )
    expect(ranges.filter((range) => range !== '$__rate_interval')).toEqual([])
  })
})

test.skipIf(!hasProgram('promtool'))('Prometheus can read every query', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'plateau-queries-'))
  onTestFinished(() => rmSync(scratch, { recursive: true, force: true }))
  const rules = dashboards.flatMap(expressionsOf).map((expr, i) => ({ record: `query:${i}`, expr: inPrometheus(expr) }))
  const file = join(scratch, 'queries.yaml')
  writeFileSync(file, stringify({ groups: [{ name: 'queries', rules }] }))
  const checked = spawnSync('promtool', ['check', 'rules', file], {
    env: { ...process.env, PATH: programPath },
    encoding: 'utf8',
  })
  expect(checked.stdout + checked.stderr).toContain(`${rules.length} rules found`)
  expect(checked.status).toBe(0)
})
