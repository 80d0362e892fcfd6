import { choice, defineConfig, mergeConfigs, optional, port, seconds, text, type Values } from '@plateau/config'
import { logLevels } from '@plateau/telemetry'
import { eventLogConfig } from './event-log/event-log-config.js'

/** What every service reads. `opsPort` is the service's own default, so that all of them run on one machine. */
export function commonConfig(opsPort: number) {
  return mergeConfigs(
    eventLogConfig,
    defineConfig({
      opsPort: port({ env: 'PLATEAU_OPS_PORT', default: opsPort, help: 'Port of /healthz, /readyz and /metrics.' }),
      opsHost: text({ env: 'PLATEAU_OPS_HOST', default: '127.0.0.1', help: 'Address that the ops port listens on.' }),
      logLevel: choice({
        env: 'PLATEAU_LOG_LEVEL',
        of: logLevels,
        default: 'info',
        help: 'Least level that is logged.',
      }),
      drainMs: seconds({
        env: 'PLATEAU_DRAIN_SECONDS',
        default: 20,
        help: 'How long work in hand may take to finish after SIGTERM.',
      }),
      otlpEndpoint: optional(
        text({ env: 'OTEL_EXPORTER_OTLP_ENDPOINT', help: 'Where traces go, for example http://localhost:4318.' }),
      ),
    }),
  )
}

export type CommonConfig = Values<ReturnType<typeof commonConfig>['fields']>
