import type { Config, Fields, Values } from '@plateau/config'
import type { EventLog } from '@plateau/event-log'
import type { Logger, Metrics } from '@plateau/telemetry'
import type { CommonConfig } from './common-config.js'
import type { Health } from './health.js'
import type { OpsHandler } from './ops-server.js'

/** One service: its settings and how it starts. Everything else about a process is the same for all of them. */
export interface ServiceSpec<F extends Fields> {
  readonly name: string
  readonly config: Config<F>
  /** Default of PLATEAU_OPS_PORT. */
  readonly opsPort: number
  /**
   * Resolves when the service works; what it returns is stopped on shutdown. Import whatever needs gRPC or the event
   * log from here with `await import()`: tracing is set up by then.
   */
  start(context: ServiceContext<Values<F>>): Promise<RunningService>
}

export interface ServiceContext<C> {
  readonly config: C & CommonConfig
  readonly logger: Logger
  readonly metrics: Metrics
  readonly health: Health
  /** Open; the service makes sure of the topics that it uses. Closed after `stop`. */
  readonly eventLog: EventLog
  /** Answers /healthz, /readyz and /metrics; false for any other path. For a service with an HTTP port of its own. */
  readonly answerOps: OpsHandler
  /** Aborted when the service should stop taking new work, just before `stop` is called. */
  readonly signal: AbortSignal
  /** Milliseconds since 1970. */
  readonly clock: () => number
  /** Ends the process with a failure, after a drain: for a loop of the background that cannot go on. */
  readonly fail: (error: unknown) => void
}

export interface RunningService {
  /** Finishes or hands back the work in hand, flushes, commits, closes. */
  stop(): Promise<void>
}
