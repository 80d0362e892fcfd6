import {
  Cluster,
  demoDomains,
  measureSpeed,
  overall,
  readPrompts,
  Traffic,
  type DomainSpeed,
  type PromptSet,
} from '@plateau/demo'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { BenchError, wholeNumber } from './bench-error.js'
import { demoModel } from './demo-model.js'
import { settled } from './live-cluster.js'
import { benchSpeculateReal, type SpeculateRealOptions } from './speculate-real.js'

export const speculateHelp = `npm run bench -- speculate [options]
       npm run bench -- speculate --target smollm2 [options]

Plain against speculative decoding in turn. Without --target: the repository's demo model, greedy, with an untrained draft
and with the one that the loop reaches. With it: a real model, by domain and temperature, beside llama.cpp without and with
its own speculation (prompt lookup; it has no draft model of this vocabulary), with the draft that the lineage begins with
and after --online-tokens of live traffic; and why: alpha, acceptance by position, cost of draft, target and everything else.

  --target NAME|PATH     a real target (fetched when it is known and missing)
  --online-tokens N      response tokens that the draft learns from (default 30000)
  --temperatures LIST    (default 0,0.6,1)
  --tokens N             of a response, at most (default 96)
  --without-llama-cpp    ours alone
  --prompts N            per domain (default 24; with --target 8, per domain and temperature)
  --threads N            of the target, and of llama.cpp (default 1; with --target all cores)
  --quick                fewer prompts and tokens: does it run, not how fast
  --model DIR            another model with prompts, without --target
  --train-seconds N      of the loop, without --target (default 240)
  --help                 this text
`

/**
 * Plain against speculative greedy decoding, same target, same prompts, in turn. First with the untrained draft, where
 * speculation must switch itself off (ratio about 1, hardly any proposals), then with the draft that the loop reaches on
 * both domains. The trainer is stopped before the second measurement: what training costs beside serving is the demo's
 * to show, and would fall on the two sides unevenly.
 */
export async function benchSpeculate(args: readonly string[]): Promise<object> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      target: { type: 'string' },
      quick: { type: 'boolean', default: false },
      'online-tokens': { type: 'string' },
      tokens: { type: 'string', default: '96' },
      temperatures: { type: 'string', default: '0,0.6,1' },
      'without-llama-cpp': { type: 'boolean', default: false },
      model: { type: 'string', default: demoModel },
      'train-seconds': { type: 'string' },
      prompts: { type: 'string' },
      threads: { type: 'string' },
    },
  })
  if (values.target !== undefined) return benchSpeculateReal(realOptions(values.target, values))
  return benchDemoModel(values)
}

interface DemoModelOptions {
  readonly model: string
  readonly quick: boolean
  readonly 'train-seconds'?: string
  readonly prompts?: string
  readonly threads?: string
}

async function benchDemoModel(options: DemoModelOptions): Promise<object> {
  const { model, quick } = options
  const seconds = wholeNumber('train-seconds', options['train-seconds'] ?? (quick ? '60' : '240'))
  const prompts = wholeNumber('prompts', options.prompts ?? (quick ? '6' : '24'))
  const threads = String(wholeNumber('threads', options.threads ?? '1'))
  const directory = await mkdtemp(join(tmpdir(), 'plateau-speculate-'))
  const domains = demoDomains.map((domain) => readPrompts(model, domain))
  const env = { 'target-model': { PLATEAU_THREADS: threads } }
  const cluster = await Cluster.start({ directory, model, env })
  try {
    const untrained = await measure(cluster, domains, Math.min(8, prompts))
    show('untrained draft: speculation switches itself off', untrained)
    await train(cluster, domains, seconds)
    await cluster.terminate('trainer')
    const trained = await measure(cluster, domains, prompts)
    show('trained draft', trained)
    const speedups = Object.fromEntries(trained.map((s) => [s.domain, ratio(s)]))
    return {
      speedup: Math.max(...Object.values(speedups)),
      speedupByDomain: speedups,
      speedupOverall: ratio(overall(trained)),
      untrainedRatio: ratio(overall(untrained)),
      untrained,
      trained,
    }
  } finally {
    await cluster.stop()
    await rm(directory, { recursive: true, force: true })
  }
}

interface RealValues {
  readonly quick: boolean
  readonly 'online-tokens'?: string
  readonly tokens: string
  readonly temperatures: string
  readonly 'without-llama-cpp': boolean
  readonly prompts?: string
  readonly threads?: string
}

function realOptions(target: string, values: RealValues): SpeculateRealOptions {
  const { quick } = values
  const temperatures = values.temperatures.split(',').map(Number)
  if (!temperatures.every((temperature) => temperature >= 0 && temperature <= 2)) {
    throw new BenchError(`--temperatures are numbers from 0 to 2, not "${values.temperatures}"`, { exitCode: 2 })
  }
  return {
    target,
    temperatures,
    threads: wholeNumber('threads', values.threads ?? String(availableParallelism())),
    promptsPerDomain: wholeNumber('prompts', values.prompts ?? (quick ? '2' : '8')),
    maxTokens: wholeNumber('tokens', values.tokens),
    onlineTokens: wholeNumber('online-tokens', values['online-tokens'] ?? (quick ? '2000' : '30000')),
    llamaCpp: !values['without-llama-cpp'],
  }
}

/** Traffic on one domain after the other, twice, so that the draft has recent data of both. */
async function train(cluster: Cluster, domains: readonly PromptSet[], seconds: number): Promise<void> {
  const traffic = new Traffic({ url: cluster.httpUrl, clients: 4, maxTokens: 64, greedyKept: 1 })
  const turns = [...domains, ...domains]
  for (const [i, domain] of turns.entries()) {
    traffic.switchTo(domain.name, domain.prompts)
    if (i === 0) traffic.start()
    await sleep((seconds * 1000) / turns.length)
  }
  await traffic.stop()
  console.log(`trained on ${traffic.completed} responses, ${traffic.failures.length} failed`)
  console.log(`the draft has reached version ${await settled({ cluster })}`)
}

function measure(cluster: Cluster, domains: readonly PromptSet[], promptsPerDomain: number): Promise<DomainSpeed[]> {
  // Prompts from the end of each list: the traffic above begins at its start.
  const unseen = domains.map(({ name, prompts }) => ({ name, prompts: prompts.toReversed() }))
  return measureSpeed({ url: cluster.httpUrl, domains: unseen, maxTokens: 96, promptsPerDomain })
}

function show(title: string, speeds: readonly DomainSpeed[]): void {
  const row = (first: string, ...cells: string[]) => first.padEnd(12) + cells.map((cell) => cell.padStart(13)).join('')
  console.log(`\n${title}`)
  console.log(row('tokens/s', 'plain', 'speculative', 'ratio', 'acceptance', 'length', 'per token'))
  for (const s of speeds) {
    const judged = [s.acceptanceRate.toFixed(2), s.acceptanceLength.toFixed(2), s.proposedPerToken.toFixed(2)]
    console.log(row(s.domain, s.plain.toFixed(1), s.speculative.toFixed(1), ratio(s).toFixed(2), ...judged))
  }
}

const ratio = (s: { plain: number; speculative: number }): number => s.speculative / s.plain
