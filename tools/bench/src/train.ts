/**
 * Training steps against what the same engine reaches on a plain matrix product, measured in turn: a busy or a throttled
 * machine slows both. With --vs-pytorch against PyTorch instead.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { BenchError, wholeNumber } from './bench-error.js'
import { median } from './statistics.js'
import { compareWithPyTorch, type VsPyTorch } from './train-vs-pytorch.js'
import { featureHeadWorkload, languageModelWorkload, matmulCeiling, type Workload } from './train-workloads.js'

export const trainHelp = `npm run bench -- train [options]

One training step of a small Llama and of feature-fed draft heads, optimiser included, beside this engine's own MatMul.

  --vs-pytorch    beside PyTorch instead, eager and compiled with fused AdamW: the same model, weights, batch, optimiser
                  and threads in the same run, in turn. Prepares a Python environment of its own (once, some minutes)
  --python PATH   an interpreter that has PyTorch already, with --vs-pytorch
  --threads N     of both (default: all cores)
  --rounds N      turns of each (default 30, with --vs-pytorch 12)
  --steps N       steps a turn, with --vs-pytorch (default 5)
  --help          this text
`

export async function benchTrain(args: readonly string[]): Promise<object> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      'vs-pytorch': { type: 'boolean', default: false },
      python: { type: 'string' },
      threads: { type: 'string', default: String(availableParallelism()) },
      rounds: { type: 'string' },
      steps: { type: 'string', default: '5' },
    },
  })
  const vsPyTorch = values['vs-pytorch']
  if (values.python !== undefined && !vsPyTorch) {
    throw new BenchError('--python belongs to --vs-pytorch', { exitCode: 2 })
  }
  const threads = wholeNumber('threads', values.threads)
  const rounds = wholeNumber('rounds', values.rounds ?? (vsPyTorch ? '12' : '30'))
  return vsPyTorch
    ? benchVsPyTorch({ python: values.python, threads, rounds, stepsPerTurn: wholeNumber('steps', values.steps) })
    : benchVsMatMul(threads, rounds)
}

async function benchVsPyTorch(options: Parameters<typeof compareWithPyTorch>[1]): Promise<object> {
  const { threads, rounds, stepsPerTurn } = options
  const workloads = {
    causalLm: await languageModelWorkload(threads),
    featureHead: await featureHeadWorkload('smollm2', threads),
  }
  const { results, versions } = await compareWithPyTorch(workloads, options)
  console.log(`${versions}, ${threads} threads`)
  console.log(`\n${'median of one step, ms'.padEnd(44)}${columns('ours', 'eager', 'compiled', 'ratio')}`)
  for (const [id, { name }] of Object.entries(workloads)) console.log(name.padEnd(44) + vsCells(results[id]!))
  const over = (of: (result: VsPyTorch) => number) =>
    Object.fromEntries(Object.entries(results).map(([id, result]) => [id, of(result)]))
  return { overPyTorch: over((r) => r.overPyTorch), steps: results, threads, rounds, stepsPerTurn, versions }
}

function vsCells({ oursMs, eagerMs, compiledMs, overPyTorch }: VsPyTorch): string {
  const compiled = typeof compiledMs === 'number' ? compiledMs.toFixed(1) : '-'
  return columns(oursMs.toFixed(1), eagerMs.toFixed(1), compiled, overPyTorch.toFixed(3))
}

const columns = (...cells: string[]): string => cells.map((cell) => cell.padStart(10)).join('')

const warmUpRounds = 5

async function benchVsMatMul(threads: number, rounds: number): Promise<object> {
  const ceiling = await matmulCeiling(threads)
  const languageModel = await languageModelWorkload(threads)
  const draft = await featureHeadWorkload('demo', threads)
  const workloads: Workload[] = [ceiling, languageModel, draft]
  const timesMs = new Map(workloads.map((workload): [Workload, number[]] => [workload, []]))
  for (let round = 0; round < warmUpRounds + rounds; round++) {
    for (const [workload, times] of timesMs) {
      const began = performance.now()
      await workload.step()
      if (round >= warmUpRounds) times.push(performance.now() - began)
    }
  }
  const figures = (workload: Workload) => summarise(workload, timesMs.get(workload)!)
  printTable(workloads.map((workload) => ({ name: workload.name, ...figures(workload) })))
  const matMul = figures(ceiling)
  const model = figures(languageModel)
  return {
    ofMatMulCeiling: model.gflopsPerSecond! / matMul.gflopsPerSecond!,
    ...model,
    matMulGflopsPerSecond: matMul.gflopsPerSecond,
    draft: figures(draft),
    threads,
    rounds,
  }
}

interface Figures {
  /** Median. */
  readonly stepMs: number
  readonly tokensPerSecond: number
  readonly gflopsPerSecond: number | undefined
}

function summarise({ tokensPerStep, matmulFlops }: Workload, timesMs: readonly number[]): Figures {
  const stepMs = median(timesMs)
  const gflopsPerSecond = matmulFlops === undefined ? undefined : matmulFlops / stepMs / 1e6
  return { stepMs, tokensPerSecond: (tokensPerStep * 1000) / stepMs, gflopsPerSecond }
}

function printTable(rows: readonly (Figures & { readonly name: string })[]): void {
  console.log(`\n${'median of one step'.padEnd(44)}${columns('ms', 'tokens/s', 'GFLOP/s')}`)
  for (const { name, stepMs, tokensPerSecond, gflopsPerSecond } of rows) {
    const tokens = tokensPerSecond > 0 ? tokensPerSecond.toFixed(0) : ''
    console.log(name.padEnd(44) + columns(stepMs.toFixed(1), tokens, gflopsPerSecond?.toFixed(0) ?? ''))
  }
}
