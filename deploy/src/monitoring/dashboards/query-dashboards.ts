/**
 * `npm run dashboards:query -- URL`: asks a Prometheus that scrapes a running Plateau for every panel, and prints how many
 * series each query has at this moment. What is empty is either quiet (nothing failed) or forgotten.
 */
import { dashboards } from './all-dashboards.js'
import { inPrometheus, queriesOf } from './queries.js'

interface Answer {
  readonly status: string
  readonly error?: string
  readonly data?: { readonly result: readonly { readonly value: readonly [number, string] }[] }
}

const [prometheus] = process.argv.slice(2)
if (prometheus === undefined) {
  console.error('usage: npm run dashboards:query -- http://127.0.0.1:9090')
  process.exit(2)
}

let empty = 0
let failed = 0
for (const { dashboard, panel, expr } of dashboards.flatMap(queriesOf)) {
  const url = new URL('/api/v1/query', prometheus)
  url.searchParams.set('query', inPrometheus(expr))
  const answer = (await (await fetch(url)).json()) as Answer
  const results = answer.data?.result ?? []
  if (answer.status !== 'success') failed++
  else if (results.length === 0) empty++
  const shown =
    answer.error ??
    results
      .slice(0, 3)
      .map(({ value: [, value] }) => Number(value).toPrecision(3))
      .join(' ')
  console.log(`${dashboard.padEnd(10)} ${panel.padEnd(32)} ${String(results.length).padStart(3)}  ${shown}`)
}
console.log(JSON.stringify({ dashboards: dashboards.length, empty, failed }))
process.exitCode = failed > 0 ? 1 : 0
