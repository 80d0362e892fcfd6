import {
  checkpointsUrl,
  defineConfig,
  existingFile,
  optional,
  text,
  type CheckpointsUrl,
  type Values,
} from '@plateau/config'

/** Everything that says which checkpoint store to open and how: the same for every service and tool. */
const fields = {
  checkpoints: checkpointsUrl({
    env: 'PLATEAU_CHECKPOINTS',
    default: '.plateau/checkpoints',
    help: 'The checkpoint store that all services share: a directory, or a bucket and a prefix in it.',
  }),
  s3Endpoint: optional(
    text({
      env: 'PLATEAU_S3_ENDPOINT',
      help: "S3: URL of the store, buckets are paths below it. Not set: AWS's of the region.",
    }),
  ),
  s3Region: text({ env: 'PLATEAU_S3_REGION', default: 'us-east-1', help: 'S3: region of the bucket.' }),
  s3AccessKeyIdFile: optional(
    existingFile({
      env: 'PLATEAU_S3_ACCESS_KEY_ID_FILE',
      help: 'S3: file with the access key id, read again for every request. Not set: the chain of the AWS SDK (web identity of the pod, instance profile).',
    }),
  ),
  s3SecretAccessKeyFile: optional(
    existingFile({
      env: 'PLATEAU_S3_SECRET_ACCESS_KEY_FILE',
      help: 'S3: file with the secret of that key, read again for every request.',
    }),
  ),
  s3CaFile: optional(
    existingFile({
      env: 'PLATEAU_S3_CA_FILE',
      help: "S3: PEM of the authorities that sign the endpoint's certificate. Not set: those that Node.js trusts.",
    }),
  ),
}

/** `checkpoints` may be left out where a service can do without. */
export type CheckpointsConfig = Omit<Values<typeof fields>, 'checkpoints'> & {
  readonly checkpoints: CheckpointsUrl | undefined
}

type Refusal = (values: CheckpointsConfig) => string | undefined

const checkpointsRefusals: readonly Refusal[] = [
  ({ checkpoints, s3Endpoint, s3AccessKeyIdFile, s3SecretAccessKeyFile, s3CaFile }) =>
    checkpoints?.kind === 's3' || (s3Endpoint ?? s3AccessKeyIdFile ?? s3SecretAccessKeyFile ?? s3CaFile) === undefined
      ? undefined
      : 'PLATEAU_S3_ENDPOINT, PLATEAU_S3_ACCESS_KEY_ID_FILE, PLATEAU_S3_SECRET_ACCESS_KEY_FILE and PLATEAU_S3_CA_FILE are for PLATEAU_CHECKPOINTS=s3://bucket/prefix',
  ({ s3AccessKeyIdFile, s3SecretAccessKeyFile }) =>
    (s3AccessKeyIdFile === undefined) === (s3SecretAccessKeyFile === undefined)
      ? undefined
      : 'PLATEAU_S3_ACCESS_KEY_ID_FILE and PLATEAU_S3_SECRET_ACCESS_KEY_FILE belong together: set both or neither',
  ({ s3Endpoint }) =>
    s3Endpoint === undefined || isOrigin(s3Endpoint)
      ? undefined
      : `PLATEAU_S3_ENDPOINT=${JSON.stringify(s3Endpoint)} is not an http or https URL without path, such as https://minio.storage.svc:9000`,
  ({ s3Endpoint, s3CaFile }) =>
    s3CaFile === undefined || s3Endpoint === undefined || s3Endpoint.startsWith('https:')
      ? undefined
      : 'PLATEAU_S3_CA_FILE is for an https PLATEAU_S3_ENDPOINT',
]

export const checkpointsConfig = defineConfig(fields, { refuse: checkpointsRefusals })

function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, pathname, search, hash, username } = new URL(text)
  return /^https?:$/.test(protocol) && pathname === '/' && `${search}${hash}${username}` === ''
}
