import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { BenchError } from '../bench-error.js'
import { lastLine, runProgram } from '../run-program.js'

const program = 'llama-batched-bench'

/** llama-batched-bench in `folder`, or on the path; undefined where there is none. Throws when a given folder has none. */
export function findBatchedBench(folder: string | undefined): string | undefined {
  const folders = folder === undefined ? (process.env['PATH'] ?? '').split(delimiter) : [folder, join(folder, 'bin')]
  const found = folders.map((one) => join(one, program)).find((file) => existsSync(file))
  if (found === undefined && folder !== undefined) {
    throw new BenchError(`${folder} holds no ${program} (looked there and in its bin)`, { exitCode: 2 })
  }
  return found
}

export interface BatchedBenchRun {
  readonly gguf: string
  readonly threads: number
  readonly batch: number
  readonly promptTokens: number
  readonly tokens: number
}

/** Tokens a second of a native build that decodes `batch` sequences at once, prompts not counted. */
export async function runBatchedBench(file: string, run: BatchedBenchRun): Promise<number> {
  const context = (run.promptTokens + run.tokens) * run.batch + 256
  const numbers = { '-c': context, '-npp': run.promptTokens, '-ntg': run.tokens, '-npl': run.batch, '-t': run.threads }
  const lines: string[] = []
  const result = await runProgram(
    file,
    ['-m', run.gguf, ...Object.entries(numbers).flatMap(([flag, value]) => [flag, String(value)]), '-ngl', '0'].concat(
      '--output-format',
      'jsonl',
    ),
    { onLine: (line) => lines.push(line) },
  )
  const row = lines.findLast((line) => line.startsWith('{') && line.includes('speed_tg'))
  if (result.code !== 0 || row === undefined) throw new BenchError(`${file} failed: ${lastLine(result)}`)
  return (JSON.parse(row) as { readonly speed_tg: number }).speed_tg
}
