#!/usr/bin/env node
import { runCli } from './cli.js'
import { KafkaDevError } from './errors.js'

try {
  process.exitCode = await runCli(process.argv.slice(2), process.stdout)
} catch (error) {
  const cause = error instanceof Error && error.cause instanceof Error ? `\n${error.cause.message}` : ''
  process.stderr.write(`kafka: ${error instanceof Error ? error.message : String(error)}${cause}\n`)
  process.exitCode = error instanceof KafkaDevError && error.code === 'BAD_OPTION' ? 2 : 1
}
