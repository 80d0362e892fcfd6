import type { CheckpointStore } from '@plateau/checkpoints'
import { parseAsUsage, settingsOf, type Environment } from './environment.js'

/** What options that name a store say of it. */
export const STORE_HELP =
  'a directory, or s3://bucket/prefix with PLATEAU_S3_* set; default: PLATEAU_CHECKPOINTS, else .plateau/checkpoints'

/** Opens the store that `place` names, else the one that the environment does, by the same settings as the services. */
export async function openCheckpoints(environment: Environment, place: string | undefined): Promise<CheckpointStore> {
  // Imported late: help and mistakes need none of it.
  const { checkpointsConfig, openCheckpoints: open } = await import('@plateau/service-kit')
  const given = settingsOf(environment, Object.values(checkpointsConfig.fields))
  const where = place ?? given['PLATEAU_CHECKPOINTS'] ?? ''
  // A shell that holds the settings of a bucket may still look into a directory.
  const settings = where.startsWith('s3:') ? { ...given, PLATEAU_CHECKPOINTS: where } : { PLATEAU_CHECKPOINTS: where }
  return open(parseAsUsage(() => checkpointsConfig.parse(settings)))
}
