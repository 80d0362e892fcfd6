import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { chartDirectory } from '../paths.js'

export const rulesDirectory = join(chartDirectory, 'files', 'rules')
// The same from src and from dist: both lie equally deep.
export const ruleTestsDirectory = fileURLToPath(new URL('../../src/monitoring/rules', import.meta.url))

export interface RecordingRule {
  readonly record: string
  readonly expr: string
}

export interface AlertingRule {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export interface RuleFile {
  readonly groups: readonly {
    readonly name: string
    readonly interval?: string
    readonly rules: readonly (RecordingRule | AlertingRule)[]
  }[]
}

interface RuleTests {
  readonly tests: readonly {
    readonly alert_rule_test?: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[]
    readonly promql_expr_test?: readonly { readonly expr: string }[]
  }[]
}

/** The rules by the names of their files. */
export function readRuleFiles(): Map<string, RuleFile> {
  const files = globSync(join(rulesDirectory, '*.yaml')).sort()
  return new Map(files.map((file) => [basename(file), parse(readFileSync(file, 'utf8')) as RuleFile]))
}

export function alertsOf(files: Iterable<RuleFile>): AlertingRule[] {
  return rulesOf(files).filter((rule): rule is AlertingRule => 'alert' in rule)
}

export function recordsOf(files: Iterable<RuleFile>): RecordingRule[] {
  return rulesOf(files).filter((rule): rule is RecordingRule => 'record' in rule)
}

export function ruleTestFiles(): string[] {
  return globSync(join(ruleTestsDirectory, '*.test.yaml')).sort()
}

/** Of promtool's tests: how many alerts are expected, each time that an alert is looked at. */
export function expectedAlerts(): { readonly alert: string; readonly count: number }[] {
  return ruleTests().flatMap(({ alert_rule_test = [] }) =>
    alert_rule_test.map(({ alertname, exp_alerts }) => ({ alert: alertname, count: exp_alerts.length })),
  )
}

export function testedExpressions(): string[] {
  return ruleTests().flatMap(({ promql_expr_test = [] }) => promql_expr_test.map(({ expr }) => expr))
}

function ruleTests(): RuleTests['tests'] {
  return ruleTestFiles().flatMap((file) => (parse(readFileSync(file, 'utf8')) as RuleTests).tests)
}

function rulesOf(files: Iterable<RuleFile>): (RecordingRule | AlertingRule)[] {
  return [...files].flatMap(({ groups }) => groups.flatMap(({ rules }) => rules))
}
