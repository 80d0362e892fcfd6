#!/usr/bin/env node
/** `npm run fuzz`: hostile inputs for every door; one line of JSON at the end. */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { helpText, parseOptions, type Options } from './options.js'
import { runFuzz } from './run-fuzz.js'
import { runTarget } from './run-target.js'
import { targets } from './targets.js'

function optionsOrExit(): Options {
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

function refuse(sentence: string): never {
  process.stderr.write(`${sentence}; --list names the targets\n`)
  process.exit(2)
}

function named(names: readonly string[]) {
  const unknown = names.find((name) => !targets.some((target) => target.name === name))
  if (unknown !== undefined) refuse(`there is no target "${unknown}"`)
  return names.length === 0 ? targets : targets.filter(({ name }) => names.includes(name))
}

const options = optionsOrExit()
const chosen = named(options.targets)
if (options.list) {
  for (const { name, summary } of targets) console.log(`${name.padEnd(18)} ${summary}`)
} else if (options.replay !== undefined) {
  await replay(options.replay)
} else {
  const interruption = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort())
  const say = (line: string): void => void process.stderr.write(`${line}\n`)
  const results = await runFuzz(chosen, { ...options, say, signal: interruption.signal })
  console.log(JSON.stringify({ fuzz: { seed: options.seed, interrupted: interruption.signal.aborted, results } }))
  process.exitCode = results.some(({ defects }) => defects.length > 0) ? 1 : 0
}

async function replay(file: string): Promise<void> {
  const names = options.targets.length > 0 ? options.targets : [basename(file).split('.')[0]!]
  const input = await readFile(file).catch((error: Error) => refuse(`${file} cannot be read (${error.message})`))
  const [target] = named(names)
  const { failure } = await runTarget(target!, { kind: 'replay', input })
  console.log(JSON.stringify({ replay: { target: target!.name, file, problem: failure?.problem ?? null } }))
  process.exitCode = failure === undefined ? 0 : 1
}
