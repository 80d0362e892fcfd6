import { readFileSync } from 'node:fs'
import type { Field } from './field.js'
import { helpText } from './help-text.js'
import { nearest } from './nearest.js'

export type Fields = Readonly<Record<string, Field<unknown>>>
export type Values<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never }
export type Environment = Readonly<Record<string, string | undefined>>

/** Our variables begin with it; one that no field names is a mistake. */
const PREFIX = 'PLATEAU_'

/** Says why a combination of valid values cannot work, or everything that is wrong with what they name; else undefined. */
export type Refusal<T> = (values: T) => string | readonly string[] | undefined

export interface Config<F extends Fields> {
  readonly fields: F
  readonly refusals: readonly Refusal<Values<F>>[]
  /** Throws ConfigError with every problem at once. Reads nothing but `environment` and files it names. */
  parse(environment: Environment): Values<F>
  /** The values as text that is safe to log, by environment name. */
  describe(values: Values<F>): Record<string, string>
  help(service: string): string
}

export class ConfigError extends Error {
  readonly code = 'CONFIG_INVALID'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    const title =
      problems.length === 1 ? 'the configuration has a problem' : `the configuration has ${problems.length} problems`
    super([`${title}:`, ...problems.map((problem) => `  - ${problem}`)].join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

export function defineConfig<const F extends Fields>(
  fields: F,
  options: { readonly refuse?: readonly Refusal<Values<F>>[] } = {},
): Config<F> {
  const refusals = options.refuse ?? []
  return {
    fields,
    refusals,
    parse: (environment) => parse(fields, refusals, environment),
    describe: (values) => describe(fields, values),
    help: (service) => helpText(service, fields),
  }
}

/** Both configurations in one, as a service with the fields that all services have. */
export function mergeConfigs<A extends Fields, B extends Fields>(a: Config<A>, b: Config<B>): Config<A & B> {
  return defineConfig<A & B>(
    { ...a.fields, ...b.fields },
    { refuse: [...(a.refusals as readonly Refusal<never>[]), ...(b.refusals as readonly Refusal<never>[])] as never },
  )
}

function parse<F extends Fields>(
  fields: F,
  refusals: readonly Refusal<Values<F>>[],
  environment: Environment,
): Values<F> {
  const problems: string[] = unknownKeys(fields, environment)
  const values: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(fields)) {
    const found = readText(field, environment)
    if (found.problem !== undefined) problems.push(found.problem)
    else if (found.text === undefined) values[name] = undefined
    else {
      const result = field.schema.safeParse(found.text)
      if (result.success) values[name] = result.data
      else problems.push(...result.error.issues.map((issue) => misfit(field, found.text!, issue.message)))
    }
  }
  // Combinations only make sense once every field does.
  if (problems.length === 0) {
    for (const refuse of refusals) problems.push(...[refuse(values as Values<F>) ?? []].flat())
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return values as Values<F>
}

type Found = { readonly text?: string | undefined; readonly problem?: string }

function readText(field: Field<unknown>, environment: Environment): Found {
  const direct = nonEmpty(environment[field.env])
  const file = field.secret ? nonEmpty(environment[`${field.env}_FILE`]) : undefined
  if (direct !== undefined && file !== undefined) {
    return { problem: `${field.env} and ${field.env}_FILE are both set; set one` }
  }
  if (file !== undefined) {
    try {
      return { text: readFileSync(file, 'utf8').trimEnd() }
    } catch (error) {
      return { problem: `${field.env}_FILE="${file}" cannot be read: ${(error as Error).message}` }
    }
  }
  const text = direct ?? field.defaultText
  if (text === undefined && field.required) {
    return { problem: `${field.env} is missing; allowed: ${field.allowed} (${field.help})` }
  }
  return { text }
}

/** An empty variable counts as not set: orchestrators often cannot leave one out. */
function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text
}

function misfit(field: Field<unknown>, text: string, message: string): string {
  return `${field.env}=${field.secret ? '[redacted]' : JSON.stringify(text)} is not allowed; allowed: ${message}`
}

function unknownKeys(fields: Fields, environment: Environment): string[] {
  const known = Object.values(fields).flatMap((field) =>
    field.secret ? [field.env, `${field.env}_FILE`] : [field.env],
  )
  return Object.keys(environment)
    .filter((key) => key.startsWith(PREFIX) && !known.includes(key))
    .map((key) => {
      const guess = nearest(key, known)
      return `${key} is not a setting of this service${guess === undefined ? '' : `; did you mean ${guess}?`}`
    })
}

function describe(fields: Fields, values: Readonly<Record<string, unknown>>): Record<string, string> {
  const shown = Object.entries(fields).map(([name, field]): [string, string] => {
    const value = values[name]
    if (value === undefined) return [field.env, '(not set)']
    return [field.env, field.secret ? '[redacted]' : typeof value === 'string' ? value : JSON.stringify(value)]
  })
  return Object.fromEntries(shown)
}
