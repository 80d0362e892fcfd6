/**
 * The registry of telemetry names (libs/telemetry/src/registry) against the sources. That code asks only for what is
 * declared, as the kind and with the labels that are declared, the compiler sees to; this finds what is declared and used
 * nowhere, and names in text (dashboards, rules, tools, documents) of metrics that do not exist.
 */
import { globSync, readFileSync } from 'node:fs'

export interface TelemetryNames {
  readonly metrics: readonly string[]
  /** Attributes, spans and events that our own code must use. */
  readonly others: readonly string[]
}

/** Words that look like a metric's name. */
const NO_METRICS = new Set(['plateau_feature_head'])
const REGISTRY = 'libs/telemetry/src/registry/'

/** `files`: text by path. One sentence per problem. */
export function telemetryProblems(files: ReadonlyMap<string, string>, names: TelemetryNames): string[] {
  const code = [...files].filter(
    ([path]) => /^(libs|services)\/.*(?<!\.test)\.ts$/.test(path) && !path.startsWith(REGISTRY),
  )
  const unused = [...names.metrics, ...names.others].filter(
    (name) => !code.some(([, text]) => text.includes(`'${name}'`)),
  )
  return [
    ...unused.map((name) => `"${name}" is declared in ${REGISTRY} and used nowhere`),
    ...[...files].flatMap(([path, text]) =>
      unknownMetrics(text, names.metrics).map((name) => `${path}: there is no metric ${name}`),
    ),
  ]
}

function unknownMetrics(text: string, metrics: readonly string[]): string[] {
  const found = new Set(text.match(/(?<![\w:.-])plateau_[a-z0-9_]*[a-z0-9](?![\w*{-])/g))
  return [...found].filter((name) => {
    const whole = name.replace(/_(bucket|sum|count)$/, '')
    return !metrics.includes(name) && !metrics.includes(whole) && !NO_METRICS.has(name)
  })
}

/** Sources and whatever names metrics for people and programs; not tests, which have names of their own. */
export function readFiles(): Map<string, string> {
  const patterns = ['{libs,services,tools,tests,deploy}/**/*.{ts,json,yaml,yml,md,tpl}', 'docs/**/*.md', '*.md']
  const paths = globSync(patterns, {
    exclude: ['**/node_modules/**', '**/dist/**', '**/*.test.ts'],
  })
  return new Map(paths.map((path) => [path.replaceAll('\\', '/'), readFileSync(path, 'utf8')]))
}
