import { existsSync } from 'node:fs'
import { PlateauError } from '@plateau/contracts'
import type { EventLog } from '@plateau/event-log'
import { parseAsUsage, settingsOf, type Environment, type EnvironmentField } from './environment.js'

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
  const config = parseAsUsage(() => eventLogConfig.parse(settings))
  const where = config.eventLog
  if (where.kind === 'embedded' && !options.create && !existsSync(where.directory)) {
    throw new PlateauError('LOG_UNAVAILABLE', `there is no event log in ${where.directory}`)
  }
  return openEventLog(config, { clientId: 'plateau-cli' })
}

/**
 * The event log's settings out of the environment. A URL for an embedded log makes how to reach Kafka pointless. Values are
 * read and sent back as they are, whatever the wire format that services write.
 */
function settingsFor(
  url: string | undefined,
  environment: Environment,
  fields: readonly EnvironmentField[],
): Environment {
  const isEmbedded = url?.startsWith('embedded:') ?? false
  const wanted = fields.filter(
    ({ env }) =>
      env !== 'PLATEAU_WIRE' && env !== 'PLATEAU_SCHEMA_REGISTRY' && !(isEmbedded && env.startsWith('PLATEAU_KAFKA_')),
  )
  const given = settingsOf(environment, wanted)
  return url === undefined ? given : { ...given, PLATEAU_EVENT_LOG: url }
}
