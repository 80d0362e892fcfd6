import { trace } from '@opentelemetry/api'
import { pino, type DestinationStream, type Logger as Pino } from 'pino'
import { errorFields } from './error-fields.js'
import type { ProcessIdentity } from './process-identity.js'
import { isTracing } from './tracing.js'

export const logLevels = ['debug', 'info', 'warn', 'error', 'fatal'] as const
export type LogLevel = (typeof logLevels)[number]

/** Facts of one log line. `error` may hold anything that was thrown. Never prompt text, user data or keys. */
export type LogFields = Readonly<Record<string, unknown>>

/** A message is a lower-case fragment ("draft swapped"); the facts are fields. Error means someone must act. */
export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  fatal(message: string, fields?: LogFields): void
  /** A logger whose lines all carry `fields`. */
  child(fields: LogFields): Logger
}

/** Field names that never reach a log line, at the top or one level down. */
const REDACTED = ['prompt', 'text', 'messages', 'authorization', 'password', 'secret', 'token', 'apiKey', 'privateKey']

export interface LoggerOptions {
  readonly identity: ProcessIdentity
  readonly level?: LogLevel
  /** Default: standard output, written at once so that the last line before an exit is not lost. */
  readonly destination?: DestinationStream
}

export function createLogger(options: LoggerOptions): Logger {
  const destination = options.destination ?? pino.destination({ dest: 1, sync: true })
  const root = pino(
    {
      level: options.level ?? 'info',
      base: { ...options.identity },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      redact: { paths: REDACTED.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
      messageKey: 'message',
      mixin: traceIds,
    },
    destination,
  )
  return wrap(root)
}

/** Says nothing: for tests and library defaults. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  fatal: () => {},
  child: () => silentLogger,
}

function wrap(logger: Pino): Logger {
  return {
    debug: (message, fields = {}) => logger.debug(withException(fields), message),
    info: (message, fields = {}) => logger.info(withException(fields), message),
    warn: (message, fields = {}) => logger.warn(withException(fields), message),
    error: (message, fields = {}) => logger.error(withException(fields), message),
    fatal: (message, fields = {}) => logger.fatal(withException(fields), message),
    child: (fields) => wrap(logger.child(withException(fields))),
  }
}

function withException(fields: LogFields): LogFields {
  if (fields['error'] === undefined) return fields
  const { error, ...rest } = fields
  return { ...rest, ...errorFields(error) }
}

/** By the names of OpenTelemetry's log data model in JSON. */
function traceIds(): object {
  if (!isTracing()) return {}
  const span = trace.getActiveSpan()?.spanContext()
  if (span === undefined) return {}
  return { trace_id: span.traceId, span_id: span.spanId, trace_flags: span.traceFlags.toString(16).padStart(2, '0') }
}
