import { type Fields, type Values } from '@plateau/config'
import type { EventLog } from '@plateau/event-log'
import {
  createLogger,
  metricsEndpoint,
  MetricRegistry,
  processIdentity,
  startTracing,
  type Logger,
} from '@plateau/telemetry'
import type { CommonConfig } from './common-config.js'
import { HealthBoard } from './health.js'
import { Lifecycle } from './lifecycle.js'
import { openEventLog } from './event-log/open-event-log.js'
import { opsHandler, startOpsServer } from './ops-server.js'
import { declareProcessMetrics } from './process-metrics.js'
import { startModule } from './service-module.js'
import type { ServiceSpec } from './service.js'

export interface StartOptions {
  /** Default: standard output. */
  readonly logger?: Logger
  /** Default: what PLATEAU_EVENT_LOG names. It is closed with the service either way. */
  readonly eventLog?: EventLog
  readonly clock?: () => number
}

export interface StartedService {
  readonly opsUrl: string
  /** Drains once and resolves with the exit code; a later call waits for the same drain. */
  stop(exitCode?: number): Promise<number>
  /** Resolves with the exit code when the service has stopped, by `stop` or by its own failure. */
  readonly stopped: Promise<number>
}

type Close = { readonly what: string; readonly close: () => Promise<void> | void }

/**
 * Starts one service in this process: telemetry, ops port, event log, then the service itself. When a step fails, what
 * was opened before it is closed again and the error is thrown.
 */
export async function startService<F extends Fields>(
  spec: ServiceSpec<F>,
  config: Values<F> & CommonConfig,
  options: StartOptions = {},
): Promise<StartedService> {
  const clock = options.clock ?? Date.now
  const identity = processIdentity(spec.name)
  const logger = options.logger ?? createLogger({ identity, level: config.logLevel })
  const lifecycle = new Lifecycle()
  const opened: Close[] = []
  const closeOpened = (): Promise<void> => closeInReverse(opened, logger)
  const stopping = new AbortController()

  try {
    const warn = (error: unknown): void => logger.warn('spans were not sent', { error })
    const tracing = await startTracing({
      identity,
      endpoint: config.otlpEndpoint,
      sampler: config.tracesSampler,
      share: config.tracesShare,
      messagingSystem: config.eventLog.kind === 'kafka' ? 'kafka' : 'plateau',
      onError: warn,
    })
    opened.push({ what: 'tracing', close: () => tracing.stop() })

    const registry = new MetricRegistry()
    const processMetrics = declareProcessMetrics(registry, identity)
    opened.push({ what: 'process metrics', close: () => processMetrics.stop() })
    const metrics = metricsEndpoint(registry, { identity, clock })
    opened.push({ what: 'metrics', close: () => metrics.close() })

    const health = new HealthBoard(clock)
    health.ready('service', () => lifecycle.whyNotReady())
    const answerOps = opsHandler(health, metrics)
    const ops = await startOpsServer({ host: config.opsHost, port: config.opsPort, answer: answerOps })
    opened.push({ what: 'ops server', close: () => ops.close() })
    logger.info('ops port open', { url: ops.url })

    const eventLog = options.eventLog ?? (await openEventLog(config, { clientId: spec.name, logger }))
    opened.push({ what: 'event log', close: () => eventLog.close() })

    // The context can fail or stop the service before `start` has returned; both wait for it here.
    const outcome = Promise.withResolvers<number>()
    const module = Promise.withResolvers<{ close(): Promise<void> }>()
    module.promise.catch(() => {})
    const stop = (exitCode = 0): Promise<number> => {
      lifecycle.raise(exitCode)
      if (lifecycle.state === 'starting' || lifecycle.state === 'running') {
        lifecycle.move('draining')
        outcome.resolve(drain())
      }
      return outcome.promise
    }
    const drain = async (): Promise<number> => {
      logger.info('draining', { withinMs: config.drainMs })
      try {
        await within(config.drainMs, async () => (await module.promise).close())
        logger.info('stopped', { exitCode: lifecycle.exitCode })
      } catch (error) {
        lifecycle.raise(1)
        logger.error('drain failed', { error })
      }
      lifecycle.move('stopped')
      return lifecycle.exitCode
    }

    const context = {
      config,
      logger,
      metrics: registry,
      health,
      eventLog,
      answerOps,
      signal: stopping.signal,
      clock,
      fail: (error: unknown) => {
        logger.fatal('service failed', { error })
        void stop(1)
      },
    }
    try {
      const started = await startModule({
        start: () => spec.start(context),
        beforeStop: () => stopping.abort(),
        afterStop: closeOpened,
      })
      module.resolve(started)
    } catch (error) {
      stopping.abort()
      module.reject(error)
      throw error
    }
    if (lifecycle.state === 'starting') {
      lifecycle.move('running')
      logger.info('service running', { opsUrl: ops.url })
    }
    return { opsUrl: ops.url, stop, stopped: outcome.promise }
  } catch (error) {
    await closeOpened()
    throw error
  }
}

async function closeInReverse(opened: Close[], logger: Logger): Promise<void> {
  for (let next = opened.pop(); next !== undefined; next = opened.pop()) {
    try {
      await next.close()
    } catch (error) {
      logger.error('could not close', { what: next.what, error })
    }
  }
}

async function within(ms: number, work: () => Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`work in hand did not finish within ${ms} ms`)), ms)
  try {
    await Promise.race([work(), late.promise])
  } finally {
    clearTimeout(timer)
  }
}
