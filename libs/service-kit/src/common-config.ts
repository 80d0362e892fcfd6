import {
  choice,
  defineConfig,
  httpUrl,
  mergeConfigs,
  optional,
  port,
  seconds,
  share,
  text,
  type Values,
} from '@plateau/config'
import { logLevels, samplers } from '@plateau/telemetry'
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
        httpUrl({ env: 'OTEL_EXPORTER_OTLP_ENDPOINT', help: 'Where traces go: a collector, OTLP over HTTP.' }),
      ),
      tracesSampler: choice({
        env: 'OTEL_TRACES_SAMPLER',
        of: samplers,
        default: 'parentbased_traceidratio',
        help: 'Which requests are traced. parentbased: as the traceparent of the client says, where it sends one.',
      }),
      tracesShare: share({
        env: 'OTEL_TRACES_SAMPLER_ARG',
        default: 1,
        help: 'Share of the requests that the traceidratio samplers trace, 0 to 1.',
      }),
    }),
  )
}

export type CommonConfig = Values<ReturnType<typeof commonConfig>['fields']>
