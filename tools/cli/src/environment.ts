import { ConfigError } from '@plateau/config'
import { UsageError } from './usage-error.js'

export type Environment = Readonly<Record<string, string | undefined>>

export interface EnvironmentField {
  readonly env: string
  readonly secret: boolean
}

/** These settings out of the environment: a shell may hold those of services, too, which are no mistakes here. */
export function settingsOf(environment: Environment, fields: readonly EnvironmentField[]): Environment {
  const names = fields.flatMap(({ env, secret }) => (secret ? [env, `${env}_FILE`] : [env]))
  return Object.fromEntries(names.map((name) => [name, environment[name]]))
}

/** A setting that is wrong is the operator's to mend, wherever it stands. */
export function parseAsUsage<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.problems.join('; '))
    throw error
  }
}
