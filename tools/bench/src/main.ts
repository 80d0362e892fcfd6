#!/usr/bin/env node
/** `npm run bench -- NAME`: prints a table and ends with one line of JSON. */
import { benchmarks, overview } from './benchmarks.js'
import { BenchError } from './bench-error.js'
import { describeMachine, printMachine } from './machine.js'
import { PlateauError } from '@plateau/contracts'

const [name, ...args] = process.argv.slice(2)
const benchmark = name === undefined ? undefined : benchmarks[name]
if (benchmark === undefined) {
  process.stderr.write(overview())
  process.exit(name === undefined || name === '--help' ? 0 : 2)
}
if (args.includes('--help')) {
  process.stdout.write(await benchmark.help())
  process.exit(0)
}
process.env['ORT_DISABLE_TELEMETRY'] = '1'
try {
  // Before the benchmark's own load.
  const machine = describeMachine()
  const result = await benchmark.run(args)
  printMachine(machine)
  console.log(JSON.stringify({ bench: name, ...result, machine }))
} catch (error) {
  const exitCode = exitCodeOf(error)
  if (exitCode === undefined) throw error
  process.stderr.write(`bench ${name}: ${(error as Error).message}\n`)
  process.exitCode = exitCode
}

/** Undefined: a defect, which is shown with its stack. */
function exitCodeOf(error: unknown): number | undefined {
  if (error instanceof BenchError) return error.exitCode
  if (error instanceof PlateauError) return 1
  const code = error instanceof TypeError && 'code' in error ? String(error.code) : ''
  return code.startsWith('ERR_PARSE_ARGS_') ? 2 : undefined
}
