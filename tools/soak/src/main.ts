#!/usr/bin/env node
/** `npm run soak`: hours of load, with or without chaos, and a verdict by stated criteria; one line of JSON at the end. */
import { kafkaUnavailable } from '@plateau/kafka-dev'
import { writeFile } from 'node:fs/promises'
import { helpText, parseOptions, type SoakOptions } from './options.js'
import { hasFailed, textOf } from './report.js'
import { runSoak } from './run-soak.js'

function optionsOrExit(): SoakOptions {
  try {
    const options = parseOptions(process.argv.slice(2))
    if (options !== undefined) return options
    process.stdout.write(helpText)
    process.exit(0)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${helpText}`)
    process.exit(2)
  }
}

const options = optionsOrExit()
const missing = options.kafka ? kafkaUnavailable() : undefined
if (missing !== undefined) {
  process.stderr.write(`--kafka needs Apache Kafka: ${missing}\n`)
  process.exit(1)
}
const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort())
const startedMs = Date.now()
const say = (line: string): void =>
  void process.stderr.write(`${((Date.now() - startedMs) / 1000).toFixed(0).padStart(5)} s  ${line}\n`)

try {
  const report = await runSoak(options, { signal: interruption.signal, say })
  process.stdout.write(textOf(report))
  const json = JSON.stringify({ soak: report })
  if (options.jsonFile !== undefined) await writeFile(options.jsonFile, `${json}\n`)
  console.log(json)
  process.exitCode = hasFailed(report) ? 1 : 0
} catch (error) {
  process.stderr.write(`the run could not finish: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
