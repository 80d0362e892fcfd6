#!/usr/bin/env node
import { runCli } from './run-cli.js'

/** For what is in hand: a file being written, a batch being sent. A log that does not answer is not waited for. */
const PATIENCE_MS = 10_000

const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // A second one means it: what is durable stays, the rest was not promised.
    // eslint-disable-next-line unicorn/no-process-exit -- the one place where an operator's second Ctrl-C ends the process
    if (interruption.signal.aborted) process.exit(1)
    interruption.abort()
    // eslint-disable-next-line unicorn/no-process-exit -- as above
    setTimeout(() => process.exit(1), PATIENCE_MS).unref()
  })
}

// `plateau ... | head` is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // eslint-disable-next-line unicorn/no-process-exit -- nobody reads any more
  process.exit(error.code === 'EPIPE' ? 0 : 1)
})

process.exitCode = await runCli(process.argv.slice(2), {
  environment: process.env,
  signal: interruption.signal,
  now: Date.now,
  print: (text) => void process.stdout.write(text),
  printError: (text) => void process.stderr.write(text),
  isTerminal: process.stderr.isTTY,
})
