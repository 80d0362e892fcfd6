import { existsSync } from 'node:fs'
import { ConfigError, eventLogUrl, defineConfig } from '@plateau/config'
import { PlateauError } from '@plateau/contracts'
import type { EventLog } from '@plateau/event-log'
import { openEmbeddedEventLog } from '@plateau/event-log-embedded'
import { UsageError } from './usage-error.js'

const config = defineConfig({
  eventLog: eventLogUrl({ env: 'PLATEAU_EVENT_LOG', default: 'embedded:.plateau/event-log', help: 'The event log.' }),
})

/**
 * Opens the log that `url` names, else the one that the environment does, by the same settings as the services. Creates
 * no topics, and an embedded log only with `create`: looking must not change anything.
 */
export async function openLog(
  environment: Readonly<Record<string, string | undefined>>,
  url: string | undefined,
  options: { readonly create?: boolean } = {},
): Promise<EventLog> {
  // A shell may hold the settings of services, too; those are not mistakes here.
  const { eventLog } = parse(url ?? environment['PLATEAU_EVENT_LOG'])
  if (eventLog.kind === 'kafka') throw new PlateauError('ADAPTER_MISSING', 'the Kafka adapter is not in this build')
  if (!options.create && !existsSync(eventLog.directory)) {
    throw new PlateauError('LOG_UNAVAILABLE', `there is no event log in ${eventLog.directory}`)
  }
  return openEmbeddedEventLog(eventLog.directory)
}

/** A setting that is wrong is the operator's to mend, wherever it stands. */
function parse(url: string | undefined) {
  try {
    return config.parse({ PLATEAU_EVENT_LOG: url })
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.problems.join('; '))
    throw error
  }
}
