#!/usr/bin/env node
import { runCli } from './cli.js'
import { S3DevError } from './errors.js'

try {
  process.exitCode = await runCli(process.argv.slice(2), process.stdout)
} catch (error) {
  process.stderr.write(`s3: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = error instanceof S3DevError && error.code === 'BAD_OPTION' ? 2 : 1
}
