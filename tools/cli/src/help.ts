import type { Command } from './command.js'
import type { Option, Options } from './option.js'

export function overview(program: string, commands: readonly Command[], options: Options): string {
  return [
    `usage: ${program} COMMAND [options]`,
    '',
    ...columns(commands.map(({ name, summary }) => [name, summary])),
    '',
    'with every command:',
    ...optionLines(options),
    '',
    `${program} COMMAND --help says more. Exit codes: 0 done, 1 failed or differences found, 2 wrong usage.`,
    '',
  ].join('\n')
}

export function commandHelp(program: string, command: Command, common: Options): string {
  return [
    `usage: ${program} ${command.name}${command.argument ? ` ${command.argument.placeholder}` : ''}${usageOf(command.options)}`,
    '',
    command.summary,
    ...(command.details === undefined ? [] : ['', command.details.trim()]),
    '',
    ...(command.argument ? [...columns([[command.argument.placeholder, command.argument.help]]), ''] : []),
    ...optionLines({ ...command.options, ...common }),
    '',
  ].join('\n')
}

function usageOf(options: Options): string {
  const mandatory = Object.entries(options).filter(([, option]) => option.required)
  const rest = Object.keys(options).length > mandatory.length ? ' [options]' : ''
  return mandatory.map(([name, { placeholder }]) => ` --${name} ${placeholder}`).join('') + rest
}

function optionLines(options: Options): string[] {
  return columns(
    Object.entries(options).map(([name, option]) => [
      option.placeholder === undefined ? `--${name}` : `--${name} ${option.placeholder}`,
      option.help + standing(option),
    ]),
  )
}

function standing(option: Option<unknown>): string {
  return option.defaultText === undefined ? '' : ` (default ${option.defaultText})`
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}
