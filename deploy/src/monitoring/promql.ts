import type { SyntaxNode } from '@lezer/common'
import { parser } from '@prometheus-io/lezer-promql'
import { metricTable, type MetricDeclaration } from '@plateau/telemetry'

/** What Prometheus, the chart's ServiceMonitor or a scrape configuration says of a series. */
const TARGET_LABELS = ['namespace', 'release', 'job', 'lineage', 'instance', 'pod']
const OF_COUNTERS = new Set(['rate', 'increase', 'irate', 'resets', 'present_over_time'])
const NOT_OF_GAUGES = new Set(['rate', 'increase', 'irate', 'resets'])

/** Labels by the name of a recording rule, as `recordedLabels` finds them. */
export type Records = ReadonlyMap<string, readonly string[]>

/** What a recording rule keeps: the labels that it groups by. */
export function recordedLabels(expression: string): string[] {
  const grouped = nodesOf(expression, 'AggregateModifier').flatMap((node) => labelNames(expression, node))
  return [...new Set(grouped)].filter((label) => label !== 'le')
}

/**
 * What is wrong with an expression of ours, in sentences: syntax, metrics and labels that the registry or `records` do not
 * have, counters that are not read by a rate, gauges that are, percentiles of what is no bucket.
 */
export function problemsOfExpression(expression: string, records: Records): string[] {
  const broken = nodesOf(expression, '⚠')
  if (broken.length > 0) return [`not PromQL at ${broken[0]!.from}: ${expression}`]
  return [
    ...nodesOf(expression, 'VectorSelector').flatMap((node) => problemsOfSelector(expression, node, records)),
    ...['AggregateModifier', 'MatchingModifierClause'].flatMap((kind) =>
      nodesOf(expression, kind).flatMap((node) => problemsOfGrouping(expression, node, records)),
    ),
    ...nodesOf(expression, 'FunctionCall').flatMap((node) => problemsOfQuantile(expression, node)),
  ]
}

interface Known {
  readonly kind: MetricDeclaration['kind'] | 'record' | 'bucket' | 'scrape'
  readonly labels: readonly string[]
}

function known(name: string, records: Records): Known | undefined {
  const record = records.get(name)
  if (record !== undefined) return { kind: 'record', labels: record }
  if (name === 'up') return { kind: 'scrape', labels: TARGET_LABELS }
  const table: Readonly<Record<string, MetricDeclaration>> = metricTable
  const base = name.replace(/_(bucket|sum|count)$/, '')
  const declared = table[name] ?? table[base]
  if (declared === undefined || (declared.kind === 'histogram') !== (base !== name && table[name] === undefined)) return
  const labels = [...TARGET_LABELS, ...Object.keys(declared.labels ?? {})]
  if (declared.kind !== 'histogram') return { kind: declared.kind, labels }
  return name.endsWith('_bucket') ? { kind: 'bucket', labels: [...labels, 'le'] } : { kind: 'counter', labels }
}

function problemsOfSelector(expression: string, node: SyntaxNode, records: Records): string[] {
  const name = text(expression, node.getChild('Identifier') ?? node)
  const metric = known(name, records)
  if (metric === undefined) return [`${name} is not declared`]
  const labels = labelNames(expression, node).filter((label) => !metric.labels.includes(label))
  const problems = labels.map((label) => `${name} has no label ${label}`)
  const call = functionOver(expression, node)
  const isCounter = metric.kind === 'counter' || metric.kind === 'bucket'
  if (isCounter && !(call === undefined ? isNewcomer(node) : OF_COUNTERS.has(call)))
    problems.push(`${name} is a counter, read by ${call ?? 'nothing'}`)
  if (!isCounter && call !== undefined && NOT_OF_GAUGES.has(call))
    problems.push(`${name} is no counter, read by ${call}`)
  return problems
}

/** A label to group or to match by is one of every metric inside. */
function problemsOfGrouping(expression: string, node: SyntaxNode, records: Records): string[] {
  const inside = nodesOf(expression, 'VectorSelector').filter(
    ({ from, to }) => from >= node.parent!.from && to <= node.parent!.to,
  )
  const names = inside.map((selector) => text(expression, selector.getChild('Identifier') ?? selector))
  return labelNames(expression, node).flatMap((label) =>
    names
      .filter((name) => known(name, records)?.labels.includes(label) === false)
      .map((name) => `grouped by ${label}, which ${name} has not`),
  )
}

function problemsOfQuantile(expression: string, node: SyntaxNode): string[] {
  const call = text(expression, node)
  if (!call.startsWith('histogram_quantile')) return []
  const names = within(node, 'VectorSelector').map((selector) => text(expression, selector))
  return [
    ...names.filter((name) => !/^\w+_bucket\b/.test(name)).map((name) => `histogram_quantile of ${name}, no bucket`),
    ...within(node, 'AggregateModifier')
      .filter((modifier) => !labelNames(expression, modifier).includes('le'))
      .map(() => `histogram_quantile without le: ${call}`),
  ]
}

/** The function that reads the series, if any. */
function functionOver(expression: string, node: SyntaxNode): string | undefined {
  let at = node.parent
  while (at !== null && ['MatrixSelector', 'OffsetExpr', 'SubqueryExpr', 'FunctionCallBody'].includes(at.name))
    at = at.parent
  const name = at?.name === 'FunctionCall' ? at.getChild('FunctionIdentifier') : null
  return name === null || name === undefined ? undefined : text(expression, name)
}

/** "x unless present_over_time(x[...] offset ...)": a counter that is new is what it says. */
function isNewcomer(node: SyntaxNode): boolean {
  const parent = node.parent
  return parent?.name === 'BinaryExpr' && parent.getChild('Unless') !== null && parent.firstChild?.from === node.from
}

function nodesOf(expression: string, kind: string): SyntaxNode[] {
  return within(parser.parse(expression).topNode, kind)
}

function within(root: SyntaxNode, kind: string): SyntaxNode[] {
  const found: SyntaxNode[] = []
  root.cursor().iterate((node) => {
    if (node.name === kind || (kind === '⚠' && node.type.isError)) found.push(node.node)
  })
  return found
}

function labelNames(expression: string, node: SyntaxNode): string[] {
  return within(node, 'LabelName').map((label) => text(expression, label))
}

function text(expression: string, { from, to }: { readonly from: number; readonly to: number }): string {
  return expression.slice(from, to)
}
