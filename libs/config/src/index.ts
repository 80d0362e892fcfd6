export {
  ConfigError,
  defineConfig,
  mergeConfigs,
  type Config,
  type Environment,
  type Fields,
  type Refusal,
  type Values,
} from './config.js'
export { optional, type Field, type FieldOptions } from './field.js'
export {
  address,
  bytes,
  checkpointsUrl,
  choice,
  decimal,
  directory,
  eventLogUrl,
  existingDirectory,
  existingFile,
  existingPath,
  flag,
  integer,
  list,
  port,
  seconds,
  secret,
  share,
  text,
  type CheckpointsUrl,
  type EventLogUrl,
} from './kinds.js'
export { Secret } from './secret.js'
