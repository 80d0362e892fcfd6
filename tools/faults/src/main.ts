#!/usr/bin/env node
/** `npm run faults`: damage to a running system on real Kafka brokers, and an audit after each; one line of JSON at the end. */
import { kafkaUnavailable, resolveKafka } from '@plateau/kafka-dev'
import { parseArgs } from 'node:util'
import { runFaults } from './run-faults.js'
import { scenarios } from './scenarios.js'

const help = `npm run faults -- [options]

Starts real Kafka brokers and Plateau's services, sends a sequence-numbered stream of windows and user requests, does the
damage of each scenario, and counts what was lost, doubled or failed. Java 17 is needed; Maven fetches Kafka once.

  --short        only the scenarios that CI runs
  --only NAME    one scenario; may be repeated
  --list         the scenarios
  --help         this text

Exit status: 0 when nothing was lost or counted twice and no request failed; 1 otherwise; 2 for wrong arguments.
`

function chosen(): typeof scenarios {
  const { values } = parseArgs({
    options: {
      short: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help || values.list) {
    const list = scenarios.map(({ name, short, topology, summary }) => {
      return `${name.padEnd(26)} ${topology.padEnd(14)} ${short ? 'short' : '     '}  ${summary}\n`
    })
    process.stdout.write(values.help ? help : list.join(''))
    process.exit(0)
  }
  const unknown = values.only?.find((name) => !scenarios.some((scenario) => scenario.name === name))
  if (unknown !== undefined) throw new TypeError(`there is no scenario "${unknown}"; --list names them`)
  return scenarios.filter(({ name, short }) => (values.only ? values.only.includes(name) : short || !values.short))
}

function chosenOrExit(): typeof scenarios {
  try {
    return chosen()
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`)
    process.exit(2)
  }
}

const selected = chosenOrExit()
const missing = kafkaUnavailable()
if (missing !== undefined) {
  process.stderr.write(`the fault suite needs Apache Kafka: ${missing}\n`)
  process.exit(1)
}
const say = (line: string): void => void process.stderr.write(`${line}\n`)
await resolveKafka({ onProgress: say })
const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort())
const results = await runFaults(selected, say, interruption.signal)
const failed = results.some((r) => r.problems.length > 0 || r.lost + r.doubled + r.failedRequests > 0)
console.log(JSON.stringify({ faults: 'kafka', scenarios: results }))
// A scenario that was broken off may still be waiting for its moment.
process.exit(failed || results.length < selected.length ? 1 : 0)
