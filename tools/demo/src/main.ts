#!/usr/bin/env node
import { runDemo } from './demo.js'
import { helpText, parseOptions, type DemoOptions } from './options.js'
import { failures } from './report.js'

function optionsOrExit(): DemoOptions {
  try {
    const options = parseOptions(process.argv.slice(2))
    if (options) return options
    process.stdout.write(helpText)
    process.exit(0)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${helpText}`)
    process.exit(2)
  }
}

const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort())

try {
  const problems = failures(await runDemo(optionsOrExit(), process.stdout, interruption.signal))
  for (const problem of problems) process.stderr.write(`FAILED: ${problem}\n`)
  process.exitCode = problems.length > 0 ? 1 : 0
} catch (error) {
  process.stderr.write(`the demo could not finish: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
