import { existsSync } from 'node:fs'
import { ConfigError } from '@plateau/config'
import { PlateauError } from '@plateau/contracts'
import type { EventLog } from '@plateau/event-log'
import { UsageError } from './usage-error.js'

type Environment = Readonly<Record<string, string | undefined>>

interface EnvironmentField {
  readonly env: string
  readonly secret: boolean
}

/**
 * Opens the log that `url` names, else the one that the environment does, by the same settings as the services. Creates
 * no topics, and an embedded log only with `create`: looking must not change anything.
 */
export async function openLog(
  environment: Environment,
  url: string | undefined,
  options: { readonly create?: boolean } = {},
): Promise<EventLog> {
  // Imported late: help and mistakes need none of it.
  const { eventLogConfig, openEventLog } = await import('@plateau/service-kit')
  const settings = settingsFor(url, environment, Object.values(eventLogConfig.fields))
  const config = asUsage(() => eventLogConfig.parse(settings))
  const where = config.eventLog
  if (where.kind === 'embedded' && !options.create && !existsSync(where.directory)) {
    throw new PlateauError('LOG_UNAVAILABLE', `there is no event log in ${where.directory}`)
  }
  return openEventLog(config, { clientId: 'plateau-cli' })
}

/**
 * The event log's settings out of the environment: a shell may hold those of services, too, which are no mistakes here.
 * A URL for an embedded log makes how to reach Kafka pointless. Values are read and sent back as they are, whatever the
 * wire format that services write.
 */
function settingsFor(
  url: string | undefined,
  environment: Environment,
  fields: readonly EnvironmentField[],
): Environment {
  const names = fields
    .flatMap(({ env, secret }) => (secret ? [env, `${env}_FILE`] : [env]))
    .filter((name) => name !== 'PLATEAU_WIRE' && name !== 'PLATEAU_SCHEMA_REGISTRY')
    .filter((name) => !url?.startsWith('embedded:') || !name.startsWith('PLATEAU_KAFKA_'))
  const given = Object.fromEntries(names.map((name) => [name, environment[name]]))
  return url === undefined ? given : { ...given, PLATEAU_EVENT_LOG: url }
}

/** A setting that is wrong is the operator's to mend, wherever it stands. */
function asUsage<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.problems.join('; '))
    throw error
  }
}
