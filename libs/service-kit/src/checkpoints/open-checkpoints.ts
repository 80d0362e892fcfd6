import type { CheckpointStore } from '@plateau/checkpoints'
import type { CheckpointsUrl } from '@plateau/config'
import type { CheckpointsConfig } from './checkpoints-config.js'
import type { CheckpointsWatch, CheckpointsWatchOptions } from './watch-checkpoints.js'

type NamedStore = CheckpointsConfig & { readonly checkpoints: CheckpointsUrl }

/** The store that PLATEAU_CHECKPOINTS names. Nothing is asked of it yet. */
export async function openCheckpoints(config: NamedStore): Promise<CheckpointStore> {
  // Imported late: the contracts load grpc-js, which tracing has to see first.
  const { fileStore, s3Store } = await import('@plateau/checkpoints')
  const { checkpoints, s3Endpoint, s3Region, s3AccessKeyIdFile, s3SecretAccessKeyFile, s3CaFile } = config
  if (checkpoints.kind === 'directory') return fileStore(checkpoints.directory)
  const { bucket, prefix } = checkpoints
  const credentials =
    s3AccessKeyIdFile === undefined || s3SecretAccessKeyFile === undefined
      ? undefined
      : { accessKeyIdFile: s3AccessKeyIdFile, secretAccessKeyFile: s3SecretAccessKeyFile }
  return s3Store({ bucket, prefix, region: s3Region, endpoint: s3Endpoint, credentials, caFile: s3CaFile })
}

/** The same for a service, which shows by metrics what is asked of it and whether it can be reached. */
export async function openWatchedCheckpoints(
  config: NamedStore,
  options: CheckpointsWatchOptions,
): Promise<CheckpointsWatch> {
  const { watchCheckpoints } = await import('./watch-checkpoints.js')
  return watchCheckpoints(await openCheckpoints(config), options)
}
