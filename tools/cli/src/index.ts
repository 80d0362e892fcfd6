export { runCli, type CliHost } from './run-cli.js'
export type { ExitCode } from './command.js'
