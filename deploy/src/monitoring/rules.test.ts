/** The rules of the chart: what they say is declared, tested, and explained in the runbook. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { repository } from '../paths.js'
import { hasProgram } from '../programs.js'
import { problemsOfExpression, recordedLabels } from './promql.js'
import { alertsOf, expectedAlerts, readRuleFiles, recordsOf, rulesDirectory, ruleTestFiles } from './rule-files.js'

const files = readRuleFiles()
const alerts = alertsOf(files.values())
const records = recordsOf(files.values())
const recorded = new Map(records.map(({ record, expr }) => [record, recordedLabels(expr)]))
const runbook = readFileSync(join(repository, 'docs/runbook.md'), 'utf8')
const paragraphs = new Map(
  runbook
    .split(/^### /m)
    .slice(1)
    .map((part) => [
      part.slice(0, part.indexOf('\n')),
      part
        .slice(part.indexOf('\n'))
        .replace(/^## .*/ms, '')
        .trim(),
    ]),
)

function promtool(...args: string[]): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { encoding: 'utf8' })
  if (error !== undefined) throw error
  return { status, output: stdout + stderr }
}

describe.skipIf(!hasProgram('promtool'))('promtool', () => {
  test.each([...files.keys()])('accepts %s', (file) => {
    expect(promtool('check', 'rules', '--lint-fatal', join(rulesDirectory, file))).toMatchObject({ status: 0 })
  })

  test.each(ruleTestFiles().map((file) => [file.slice(repository.length), file]))('finds %s true', (_, file) => {
    const { status, output } = promtool('test', 'rules', file)
    expect(output).toMatch(/SUCCESS/)
    expect(status).toBe(0)
  })
})

test('no alert and no record has its name twice', () => {
  const names = [...alerts.map(({ alert }) => alert), ...records.map(({ record }) => record)]
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([])
})

describe.each(alerts.map((rule) => [rule.alert, rule] as const))('%s', (alert, rule) => {
  test('says how severe it is, what it is about, and where to read on', () => {
    expect(['critical', 'warning', 'info']).toContain(rule.labels['severity'])
    expect(alert).toMatch(/^Plateau[A-Z][A-Za-z]+$/)
    expect(rule.annotations['summary']?.length).toBeGreaterThan(10)
    expect(rule.annotations['description']?.length).toBeGreaterThan(rule.annotations['summary']!.length)
    expect(rule.annotations['runbook']).toBe(`docs/runbook.md#${alert.toLowerCase()}`)
  })

  test('waits, or counts over a time', () => {
    expect(rule.for ?? /increase/.exec(rule.expr)).not.toBeNull()
  })

  test('has a paragraph in the runbook that says when to ignore it', () => {
    expect(paragraphs.get(alert)).toMatch(/ignore|silence|Act only/i)
  })

  test('is seen to fire and to be silent', () => {
    const counts = expectedAlerts().flatMap((expected) => (expected.alert === alert ? [expected.count] : []))
    expect(Math.max(...counts)).toBeGreaterThan(0)
    expect(counts).toContain(0)
  })

  test('reads what is declared, as what it is', () => {
    expect(problemsOfExpression(rule.expr, recorded)).toEqual([])
  })
})

test('the runbook explains no alert that is not there, and its links lead to paragraphs', () => {
  const names = alerts.map(({ alert }) => alert)
  expect([...paragraphs.keys()].filter((name) => !names.includes(name))).toEqual([])
  const anchors = Array.from(runbook.matchAll(/\]\(#([^)]+)\)/g), ([, anchor]) => anchor)
  expect(anchors.filter((anchor) => !names.some((name) => name.toLowerCase() === anchor))).toEqual([])
})

test.each(records.map(({ record, expr }) => [record, expr]))(
  '%s records what is declared, as what it is',
  (name, expr) => {
    expect(name).toMatch(/^plateau:[a-z][a-z0-9_]*:[a-z0-9]+$/)
    expect(problemsOfExpression(expr, recorded)).toEqual([])
  },
)

describe('an expression is refused', () => {
  test.each([
    ['a metric that nobody declared', 'sum(rate(plateau_nothing_total[5m]))', 'plateau_nothing_total is not declared'],
    ['a label that it has not', 'plateau_draft_version{tenant="a"}', 'plateau_draft_version has no label tenant'],
    [
      'grouping by such a label',
      'sum by (tenant) (plateau_draft_version)',
      'grouped by tenant, which plateau_draft_version has not',
    ],
    ['a counter as it is', 'plateau_draft_swaps_total > 5', 'plateau_draft_swaps_total is a counter, read by nothing'],
    ['the rate of a gauge', 'rate(plateau_draft_version[5m])', 'plateau_draft_version is no counter, read by rate'],
    ['a histogram without its parts', 'plateau_draft_swap_seconds', 'plateau_draft_swap_seconds is not declared'],
    [
      'a part of what is no histogram',
      'rate(plateau_draft_version_bucket[5m])',
      'plateau_draft_version_bucket is not declared',
    ],
    [
      'a percentile of what is no bucket',
      'histogram_quantile(.9, sum by (le) (rate(plateau_draft_swap_seconds_bucket[5m]))) + histogram_quantile(.9, rate(plateau_draft_swap_seconds_sum[5m]))',
      'histogram_quantile of plateau_draft_swap_seconds_sum, no bucket',
    ],
    [
      'a percentile without le',
      'histogram_quantile(.9, sum by (job) (rate(plateau_draft_swap_seconds_bucket[5m])))',
      'histogram_quantile without le: histogram_quantile(.9, sum by (job) (rate(plateau_draft_swap_seconds_bucket[5m])))',
    ],
    ['what is no PromQL', 'sum by (', 'not PromQL at'],
  ])('for %s', (_, expression, problem) => {
    expect(problemsOfExpression(expression, recorded)).toEqual([expect.stringContaining(problem)])
  })
})
