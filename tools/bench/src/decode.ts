/**
 * Plain decoding of a real model beside llama.cpp on the same file, prompts and lengths: everyone in turn in every round,
 * so that a slow moment of the machine meets all of them.
 */
import type { WeightFormat } from '@plateau/causal-lm'
import { measureBandwidth, timesOfReading } from '@plateau/inference'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { BenchError, progress, wholeNumber } from './bench-error.js'
import { nativeLlamaCpp, nodeLlamaCpp, OwnDecoder, type Contestant } from './decode-contestants.js'
import { LlamaCppEngine } from './llama-cpp/engine.js'
import { findBatchedBench } from './llama-cpp/native.js'
import { ggufOf, openRealModel, promptTokens } from './real-model.js'
import { scoringTailMs } from './scoring-tail-cost.js'
import { median } from './statistics.js'

export const decodeHelp = `npm run bench -- decode --target smollm2 [options]

Tokens a second without speculation, at several batch sizes, beside node-llama-cpp (installed into the user's cache on
first use) and a native build of llama.cpp where there is one. Ours score every token on the way (its top 64, entropy,
log-sum-exp), as target-model does. Greedy; prompts are not counted.

  --target NAME        a model that was fetched: plateau model fetch smollm2
  --model PATH         or a GGUF file
  --batch LIST         sequences decoded at once (default 1,2,4,8)
  --tokens N           of each response (default 64)
  --rounds N           turns of each (default 6)
  --threads N          of everyone (default: all cores)
  --weights FORMAT     of ours: int8 (default), int4, f32
  --llama-cpp DIR      a native build: the folder with llama-batched-bench (default: the path)
  --without-llama-cpp  ours alone
  --help               this text
`

export async function benchDecode(args: readonly string[]): Promise<object> {
  const options = parseOptions(args)
  const { threads, batches, rounds, tokens } = options
  const model = await openRealModel(options)
  const own = await OwnDecoder.open(model, {
    threads,
    weightFormat: options.weights,
    maxSequences: Math.max(...batches),
  })
  const others = options.withoutLlamaCpp ? [] : [await LlamaCppEngine.open(ggufOf(model), threads)]
  const native = options.withoutLlamaCpp ? undefined : findBatchedBench(options.llamaCpp)
  const contestants = [
    own,
    ...others.map(nodeLlamaCpp),
    ...(native === undefined ? [] : [nativeLlamaCpp(native, ggufOf(model), threads)]),
  ]
  try {
    const bytesPerSecond = await measureBandwidth()
    const rows: Row[] = []
    for (const batch of batches) {
      const prompts = promptTokens(model, batch, 300)
      const tail = await scoringTailMs(batch, model.description.config.vocabSize, threads)
      rows.push({ batch, scoringTailMs: tail, ...(await takeTurns(contestants, own, { prompts, tokens }, rounds)) })
    }
    const report = reportOf(rows, contestants, own.weightBytes, bytesPerSecond)
    console.log(`${threads} threads, weights ${options.weights}`)
    printReport(rows, contestants, report)
    return { ...report, threads, rounds, tokens, weights: options.weights }
  } finally {
    await own.release()
    for (const engine of others) await engine.close()
  }
}

interface Row {
  readonly batch: number
  readonly scoringTailMs: number
  /** By contestant: tokens a second, median of the rounds. */
  readonly rates: readonly number[]
  /** Inside the engine, of one step of ours; median. */
  readonly engineMs: number
  /** Planning, feeding and storing around it. */
  readonly hostMs: number
}

type Request = Parameters<Contestant['decode']>[0]

async function takeTurns(contestants: readonly Contestant[], own: OwnDecoder, request: Request, rounds: number) {
  const rates = contestants.map((): number[] => [])
  own.runs.length = 0
  // The first round warms up caches and is not counted.
  for (let round = -1; round < rounds; round++) {
    progress(`batch ${request.prompts.length}: ${round < 0 ? 'warm-up' : `round ${round + 1} of ${rounds}`}`)
    for (const [i] of contestants.entries()) {
      const turn = (round + 1 + i) % contestants.length
      const rate = await contestants[turn]!.decode(request)
      if (round >= 0) rates[turn]!.push(rate)
    }
    if (round < 0) own.runs.length = 0
  }
  const ofRuns = (time: (run: (typeof own.runs)[number]) => number) => median(own.runs.map((run) => time(run) / 1000))
  return { rates: rates.map(median), engineMs: ofRuns((run) => run.engineUs), hostMs: ofRuns((run) => run.hostUs) }
}

function reportOf(
  rows: readonly Row[],
  contestants: readonly Contestant[],
  weightBytes: number,
  bytesPerSecond: number,
) {
  const byBatch = <T>(of: (row: Row) => T) => Object.fromEntries(rows.map((row) => [row.batch, of(row)]))
  const over = (name: string) => {
    const index = contestants.findIndex((one) => one.name === name)
    return index < 0 ? undefined : byBatch(({ rates }) => rates[0]! / rates[index]!)
  }
  const tokensPerSecond = Object.fromEntries(contestants.map(({ name }, i) => [name, byBatch((row) => row.rates[i]!)]))
  return {
    overLlamaCpp: over('node-llama-cpp'),
    overNativeLlamaCpp: over('llama.cpp'),
    tokensPerSecond,
    /** Times the time that reading the weights once takes. */
    overBandwidth: byBatch((row) => timesOfReading((1e6 * row.batch) / row.rates[0]!, weightBytes, bytesPerSecond)),
    engineMs: byBatch((row) => row.engineMs),
    hostMs: byBatch((row) => row.hostMs),
    scoringTailMs: byBatch((row) => row.scoringTailMs),
    weightBytes,
    gigabytesPerSecond: bytesPerSecond / 1e9,
  }
}

function printReport(
  rows: readonly Row[],
  contestants: readonly Contestant[],
  report: ReturnType<typeof reportOf>,
): void {
  const cells = (values: readonly string[]) => values.map((value) => value.padStart(15)).join('')
  const { weightBytes, gigabytesPerSecond, overBandwidth } = report
  const reading = `${(weightBytes / 1e6).toFixed(0)} MB of weights at ${gigabytesPerSecond.toFixed(1)} GB/s`
  console.log(`reading ${reading}: ${(weightBytes / gigabytesPerSecond / 1e6).toFixed(2)} ms a step at best\n`)
  console.log(
    'tokens/s   ' + cells([...contestants.map(({ name }) => name), 'x reading', 'engine ms', 'host ms', 'tail ms']),
  )
  for (const row of rows) {
    const own = [overBandwidth[row.batch]!, row.engineMs, row.hostMs, row.scoringTailMs].map((value) =>
      value.toFixed(2),
    )
    console.log(`batch ${row.batch}`.padEnd(11) + cells([...row.rates.map((rate) => rate.toFixed(1)), ...own]))
  }
  if (report.overLlamaCpp === undefined) return
  const ratios = Object.entries(report.overLlamaCpp).map(([batch, ratio]) => `${ratio.toFixed(2)} at ${batch}`)
  console.log(`\nover node-llama-cpp: ${ratios.join(', ')}`)
}

const weightFormats = ['int8', 'int4', 'f32'] as const

function parseOptions(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      target: { type: 'string' },
      model: { type: 'string' },
      batch: { type: 'string', default: '1,2,4,8' },
      tokens: { type: 'string', default: '64' },
      rounds: { type: 'string', default: '6' },
      threads: { type: 'string', default: String(availableParallelism()) },
      weights: { type: 'string', default: 'int8' },
      'llama-cpp': { type: 'string' },
      'without-llama-cpp': { type: 'boolean', default: false },
    },
  })
  if (!weightFormats.includes(values.weights as WeightFormat)) {
    throw new BenchError(`--weights is one of ${weightFormats.join(', ')}, not "${values.weights}"`, { exitCode: 2 })
  }
  return {
    target: values.target,
    model: values.model,
    batches: values.batch.split(',').map((text) => wholeNumber('batch', text)),
    tokens: wholeNumber('tokens', values.tokens),
    rounds: wholeNumber('rounds', values.rounds),
    threads: wholeNumber('threads', values.threads),
    weights: values.weights as WeightFormat,
    llamaCpp: values['llama-cpp'],
    withoutLlamaCpp: values['without-llama-cpp'],
  }
}
