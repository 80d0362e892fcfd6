import { ConfigError, mergeConfigs, type Fields, type Values } from '@plateau/config'
import { createLogger, processIdentity, type Logger } from '@plateau/telemetry'
import { commonConfig, type CommonConfig } from './common-config.js'
import { startService, type StartedService, type StartOptions } from './start-service.js'
import type { ServiceSpec } from './service.js'

/** The process as `runService` needs it, so that a test can stand in for it. */
export interface ProcessHost {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly arguments: readonly string[]
  print(text: string): void
  printError(text: string): void
  onSignal(listener: (signal: string) => void): void
  /** Exceptions and rejections that nothing handled. */
  onFatal(listener: (error: unknown) => void): void
  exit(code: number): void
}

export const EXIT_BAD_CONFIG = 2

/**
 * A service's whole `main`. Exit codes: 0 after a clean drain, 1 after a failure or a drain that took too long, 2 when
 * the configuration is wrong. The first SIGTERM or SIGINT drains, the second ends the process at once.
 */
export async function runService<F extends Fields>(
  spec: ServiceSpec<F>,
  options: StartOptions & { readonly host?: ProcessHost } = {},
): Promise<void> {
  const host = options.host ?? thisProcess()
  const schema = mergeConfigs(commonConfig(spec.opsPort), spec.config)
  if (host.arguments.includes('--help')) {
    host.print(schema.help(spec.name))
    return host.exit(0)
  }

  let config: CommonConfig & Values<F>
  try {
    config = schema.parse(host.environment) as CommonConfig & Values<F>
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    host.printError(`${spec.name} cannot start: ${error.message}\nRun it with --help to see every setting.\n`)
    return host.exit(EXIT_BAD_CONFIG)
  }

  const logger = options.logger ?? createLogger({ identity: processIdentity(spec.name), level: config.logLevel })
  logger.debug('configuration', schema.describe(config as never))
  host.onFatal((error) => {
    logger.fatal('unhandled error', { error })
    host.exit(1)
  })
  await supervise(spec, config, { ...options, logger }, host)
}

async function supervise<F extends Fields>(
  spec: ServiceSpec<F>,
  config: CommonConfig & Values<F>,
  options: StartOptions & { readonly logger: Logger },
  host: ProcessHost,
): Promise<void> {
  const { logger } = options
  let service: StartedService | undefined
  let signals = 0
  host.onSignal((signal) => {
    signals += 1
    logger.info('signal received', { signal })
    // While it starts, or a second time, there is nothing to wait for.
    if (signals > 1 || service === undefined) host.exit(signals > 1 ? 1 : 0)
    else void service.stop()
  })
  try {
    service = await startService(spec, config as Values<F> & CommonConfig, options)
  } catch (error) {
    logger.fatal('could not start', { error })
    return host.exit(1)
  }
  host.exit(await service.stopped)
}

function thisProcess(): ProcessHost {
  return {
    environment: process.env,
    arguments: process.argv.slice(2),
    print: (text) => void process.stdout.write(text),
    printError: (text) => void process.stderr.write(text),
    onSignal: (listener) => {
      process.on('SIGTERM', listener)
      process.on('SIGINT', listener)
    },
    onFatal: (listener) => {
      process.on('uncaughtException', listener)
      process.on('unhandledRejection', listener)
    },
    // eslint-disable-next-line unicorn/no-process-exit -- this is the one place where the process ends
    exit: (code) => process.exit(code),
  }
}
