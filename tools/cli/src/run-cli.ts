import { parseArgs } from 'node:util'
import { messageOf, PlateauError } from '@plateau/contracts'
import type { EventLog } from '@plateau/event-log'
import type { Command, Context, ExitCode } from './command.js'
import { commands } from './commands.js'
import { commandHelp, overview } from './help.js'
import { openLog } from './open-log.js'
import { flag, text, value, type Options, type OptionValues } from './option.js'
import { UsageError } from './usage-error.js'

export const PROGRAM = 'plateau'

const common = {
  'event-log': value(
    'URL',
    'embedded:DIR or kafka:HOST:PORT; default: PLATEAU_EVENT_LOG, as the services read it',
    text,
  ),
  json: flag('print JSON instead of tables'),
  help: flag('show this help'),
}

/** The process as the command line needs it. */
export interface CliHost {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly signal: AbortSignal
  readonly now: () => number
  print(text: string): void
  printError(text: string): void
  /** What printError writes to is one. */
  readonly isTerminal?: boolean
}

/** Runs one command line. Everything that goes wrong becomes one sentence on stderr and an exit code. */
export async function runCli(args: readonly string[], host: CliHost): Promise<ExitCode> {
  const command = findCommand(args)
  if (command === undefined) return withoutCommand(args, host)
  try {
    const given = parse(command, args.slice(command.name.split(' ').length))
    if (given.values['help'] === true) {
      host.print(commandHelp(PROGRAM, command, common))
      return 0
    }
    const argument = argumentOf(command, given.positionals)
    return await run(command, argument, read(command.options, given.values), read(common, given.values), host)
  } catch (error) {
    if (error instanceof UsageError) return wrongUsage(`${command.name}: ${error.message}`, host, command.name)
    if (host.signal.aborted) {
      host.printError(`${PROGRAM} ${command.name}: interrupted\n`)
      return 1
    }
    host.printError(`${PROGRAM} ${command.name} failed: ${sentence(error)}\n`)
    return 1
  }
}

async function run(
  command: Command,
  argument: string,
  options: OptionValues<Options>,
  { 'event-log': url, json }: OptionValues<typeof common>,
  host: CliHost,
): Promise<ExitCode> {
  let log: EventLog | undefined
  const context: Context = {
    environment: host.environment,
    signal: host.signal,
    now: host.now,
    openLog: async (how) => (log ??= await openLog(host.environment, url, how)),
    logUrl: url ?? host.environment['PLATEAU_EVENT_LOG'] ?? 'the default event log',
    report: (result) => host.print(json ? `${JSON.stringify(result.json)}\n` : result.text),
    say: (line) => host.printError(`${line}\n`),
    redraw: host.isTerminal === true ? (text) => host.printError(text) : undefined,
  }
  try {
    return await command.run(context, options, argument)
  } finally {
    await log?.close()
  }
}

/** The command whose words the line begins with, options not being words; the longest: "checkpoints export". */
function findCommand(args: readonly string[]): Command | undefined {
  return commands
    .filter(({ name }) => name.split(' ').every((word, i) => args[i] === word))
    .toSorted((a, b) => b.name.length - a.name.length)[0]
}

function withoutCommand(args: readonly string[], host: CliHost): ExitCode {
  const words = args.slice(0, args.findIndex((arg) => arg.startsWith('-')) >>> 0)
  const group = commands.filter(({ name }) => name.startsWith(`${words[0]} `))
  const help = overview(PROGRAM, group.length > 0 ? group : commands, common)
  if (args.includes('--help') || args.length === 0) {
    host.print(help)
    return args.length === 0 ? 2 : 0
  }
  const asked = words.length === 0 ? `${args[0]} stands before any command` : `there is no command "${words.join(' ')}"`
  return wrongUsage(asked, host, group.length > 0 ? words[0] : undefined)
}

function wrongUsage(problem: string, host: CliHost, topic: string | undefined): ExitCode {
  host.printError(`${PROGRAM}: ${problem}\nsee: ${[PROGRAM, topic, '--help'].filter(Boolean).join(' ')}\n`)
  return 2
}

function parse(command: Command, args: readonly string[]) {
  const all: Options = { ...command.options, ...common }
  const options = Object.fromEntries(
    Object.entries(all).map(([name, { placeholder }]) => [
      name,
      { type: placeholder === undefined ? ('boolean' as const) : ('string' as const) },
    ]),
  )
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: command.argument !== undefined })
  } catch (error) {
    // Its sentences go on after the first one to say how a positional would be written.
    throw new UsageError(messageOf(error).split(/[.'"]? (?:To specify|Did you forget)/)[0]!)
  }
}

function argumentOf({ argument }: Command, given: readonly string[]): string {
  if (argument === undefined) return ''
  if (given.length === 1 && given[0] !== '') return given[0]!
  throw new UsageError(
    given.length === 0 ? `${argument.placeholder} is missing` : `one ${argument.placeholder} at a time`,
  )
}

function read<const O extends Options>(
  options: O,
  given: Readonly<Record<string, string | boolean | undefined>>,
): OptionValues<O> {
  const entries = Object.entries(options).map(([name, option]) => [name, option.read(given[name], name)])
  return Object.fromEntries(entries) as OptionValues<O>
}

function sentence(error: unknown): string {
  return error instanceof PlateauError ? `${error.message} (${error.code})` : messageOf(error)
}
