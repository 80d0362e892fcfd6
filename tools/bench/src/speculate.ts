import {
  Cluster,
  demoDomains,
  measureSpeed,
  metricSum,
  overall,
  readPrompts,
  Traffic,
  type DomainSpeed,
  type PromptSet,
} from '@plateau/demo'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { demoModel } from './demo-model.js'

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
      model: { type: 'string', default: demoModel },
      'train-seconds': { type: 'string', default: '240' },
      prompts: { type: 'string', default: '24' },
      threads: { type: 'string', default: '1' },
    },
  })
  const directory = await mkdtemp(join(tmpdir(), 'plateau-speculate-'))
  const domains = demoDomains.map((domain) => readPrompts(values.model, domain))
  const env = { 'target-model': { PLATEAU_THREADS: values.threads } }
  const cluster = await Cluster.start({ directory, model: values.model, env })
  try {
    const prompts = Number(values.prompts)
    const untrained = await measure(cluster, domains, Math.min(8, prompts))
    show('untrained draft: speculation switches itself off', untrained)
    await train(cluster, domains, Number(values['train-seconds']))
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
  await settled(cluster)
}

/** The trainer goes on with what it has: until it has published nothing for 20 s, at most two minutes. */
async function settled(cluster: Cluster): Promise<void> {
  const version = () => metricSum(cluster.opsUrl('trainer'), 'plateau_trainer_version')
  let newest = await version()
  for (let seconds = 0, still = 0; seconds < 120 && still < 20; seconds++, still++) {
    await sleep(1000)
    const now = await version()
    if (now !== newest) still = 0
    newest = now
  }
  console.log(`the draft has reached version ${newest}`)
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
