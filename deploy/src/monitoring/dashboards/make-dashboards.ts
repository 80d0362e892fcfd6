/** Writes the chart's dashboards. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dashboards } from './all-dashboards.js'
import { grafanaJson } from './dashboard.js'

const folder = join(import.meta.dirname, '../../../helm/plateau/files/dashboards')
mkdirSync(folder, { recursive: true })
for (const dashboard of dashboards) {
  writeFileSync(join(folder, `${dashboard.uid}.json`), `${JSON.stringify(grafanaJson(dashboard), undefined, 2)}\n`)
}
console.log(`${dashboards.length} dashboards written`)
