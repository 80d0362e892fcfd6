import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../../deploy/helm/plateau/files/dashboards', import.meta.url))

interface Dashboard {
  readonly uid: string
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[]
}

/** What the chart's dashboards ask, as Grafana would send it when everything is chosen; the name is "uid: panel". */
export function dashboardQueries(): { readonly name: string; readonly expr: string }[] {
  return globSync(join(folder, '*.json'))
    .map((file) => JSON.parse(readFileSync(file, 'utf8')) as Dashboard)
    .flatMap(({ uid, panels }) =>
      panels.flatMap(({ title, targets = [] }) =>
        targets.map(({ expr }) => ({
          name: `${uid}: ${title}`,
          expr: expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$\w+(?=")/g, '.*'),
        })),
      ),
    )
}
