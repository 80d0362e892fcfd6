import type { EventLog } from '@plateau/event-log'
import type { Options, OptionValues } from './option.js'

/** 0: done, and nothing to report. 1: it failed, or there are differences. 2: the command line was wrong. */
export type ExitCode = 0 | 1 | 2

export interface Command<O extends Options = Options> {
  /** The words that name it, "topics apply". */
  readonly name: string
  /** One line in the list of commands. */
  readonly summary: string
  /** What a person should know before using it; lines of at most 100 characters. */
  readonly details?: string
  readonly options: O
  /** What stands after the name: "NAME" in help. It is required; a command without it takes none. */
  readonly argument?: { readonly placeholder: string; readonly help: string }
  /** `argument` is what stood there; '' for a command that takes none. */
  run(context: Context, options: OptionValues<O>, argument: string): Promise<ExitCode>
}

/** A command's view of the process it runs in, so that a test can stand in for it. */
export interface Context {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Aborted by SIGINT or SIGTERM: stop at the next clean place. */
  readonly signal: AbortSignal
  readonly now: () => number
  /** The event log that the environment or --event-log names; closed when the command ends. */
  openLog(options?: { readonly create?: boolean }): Promise<EventLog>
  /** What names that log, for a person. Secrets are not part of it. */
  readonly logUrl: string
  /** The result: `text` for a person, `json` with --json. A command that watches reports many times. */
  report(result: { readonly json: unknown; readonly text: string }): void
  /** A line on stderr about work in progress. */
  say(line: string): void
  /** Text on stderr without a line's end, where that is a terminal: to draw over the same line again. */
  readonly redraw: ((text: string) => void) | undefined
}

/** Keeps the types of a command's options together with its `run`. */
export function command<const O extends Options>(definition: Command<O>): Command {
  return definition as unknown as Command
}
