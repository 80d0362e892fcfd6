import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FuzzTarget } from './fuzz-target.js'
import { runTarget } from './run-target.js'

export interface FoundDefect {
  readonly target: string
  readonly problem: string
  /** Where the input is kept. */
  readonly file: string
  readonly bytes: number
}

export interface TargetResult {
  readonly target: string
  readonly runs: number
  readonly refused: number
  readonly seconds: number
  readonly slowestMs: number
  readonly mostMemoryMiB: number
  readonly defects: readonly FoundDefect[]
}

export interface FuzzOptions {
  readonly seed: number
  /** For all targets together; undefined: the short run of each. */
  readonly minutes: number | undefined
  readonly failuresDirectory: string
  readonly say: (line: string) => void
  readonly signal: AbortSignal
}

/** So many inputs before a target is opened anew, with the next seed. */
const RUNS_OF_A_ROUND = 2000
/** A target with so many different defects has shown enough. */
const MOST_DEFECTS = 5

/** One target after the other, each with its share of the time. */
export async function runFuzz(chosen: readonly FuzzTarget[], options: FuzzOptions): Promise<TargetResult[]> {
  const results: TargetResult[] = []
  for (const target of chosen) {
    if (options.signal.aborted) break
    const shareMs = options.minutes === undefined ? undefined : (options.minutes * 60_000) / chosen.length
    const result = await fuzzOne(target, shareMs, options)
    results.push(result)
    options.say(lineOf(result))
  }
  return results
}

async function fuzzOne(target: FuzzTarget, shareMs: number | undefined, options: FuzzOptions): Promise<TargetResult> {
  const startedMs = Date.now()
  const total = { runs: 0, refused: 0, slowestMs: 0, mostMemoryMiB: 0 }
  const defects = new Map<string, FoundDefect>()
  const isOver = (): boolean =>
    options.signal.aborted || defects.size >= MOST_DEFECTS || Date.now() - startedMs >= (shareMs ?? 0)
  for (let round = 0; round === 0 || !isOver(); round++) {
    const runs = shareMs === undefined ? target.shortRuns : Math.min(RUNS_OF_A_ROUND, 4 * target.shortRuns)
    const findings = await runTarget(target, { kind: 'find', seed: options.seed + round, runs })
    total.runs += findings.runs
    total.refused += findings.refused
    total.slowestMs = Math.max(total.slowestMs, findings.slowestMs)
    total.mostMemoryMiB = Math.max(total.mostMemoryMiB, findings.mostMemoryMiB)
    const { failure } = findings
    if (failure === undefined || defects.has(failure.problem)) continue
    const file = await keep(target.name, failure.input, options.failuresDirectory)
    const { problem, input } = failure
    defects.set(problem, { target: target.name, problem, file, bytes: input.length })
    options.say(`${target.name}: ${problem}\n  kept as ${file} (${input.length} bytes)`)
  }
  return { target: target.name, ...total, seconds: (Date.now() - startedMs) / 1000, defects: [...defects.values()] }
}

/** Named by its content, so that the same input is one file. */
async function keep(target: string, input: Uint8Array, directory: string): Promise<string> {
  await mkdir(directory, { recursive: true })
  const file = join(directory, `${target}.${createHash('sha256').update(input).digest('hex').slice(0, 12)}`)
  await writeFile(file, input)
  return file
}

function lineOf({ target, runs, refused, seconds, slowestMs, mostMemoryMiB, defects }: TargetResult): string {
  const share = runs === 0 ? 0 : Math.round((100 * refused) / runs)
  return (
    `${target.padEnd(18)} ${String(runs).padStart(7)} inputs, ${String(share).padStart(3)} % refused, ` +
    `${seconds.toFixed(1).padStart(6)} s, slowest ${slowestMs.toFixed(0)} ms, most ${mostMemoryMiB.toFixed(0)} MiB` +
    (defects.length > 0 ? `, ${defects.length} DEFECTS` : '')
  )
}
