import { allTopics, ScoredWindow, topics } from '@plateau/contracts'
import type { EventLog } from '@plateau/event-log'
import { openEmbeddedEventLog } from '@plateau/event-log-embedded'
import { Cluster, demoDomains, metricSum, readPrompts, TargetClient } from '@plateau/demo'
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { demoModel } from './demo-model.js'
import { fillWithWindows, streamShape } from './window-stream.js'

const GROUP = 'flatness-scorer.score.v1'

/**
 * Windows and tokens a second through the scorer's own process, from log to log, on one core, and how many demo targets
 * that is. The stream is written before the scorer starts, so it never waits for its input. `--target-rate` gives the
 * target's tokens/s instead of measuring them.
 */
export async function benchScore(args: readonly string[] = []): Promise<object> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      windows: { type: 'string', default: '4000' },
      model: { type: 'string', default: demoModel },
      'target-rate': { type: 'string' },
    },
  })
  const rate = values['target-rate']
  const targetTokensPerSecond = rate === undefined ? await measureTarget(values.model) : Number(rate)
  const scored = await measureScorer(Number(values.windows), values.model)
  const result = { ...scored, targetTokensPerSecond, overTarget: scored.tokensPerSecond / targetTokensPerSecond }
  show(result)
  return result
}

async function measureScorer(windows: number, model: string) {
  const directory = await mkdtemp(join(tmpdir(), 'plateau-score-'))
  const log = openEmbeddedEventLog(join(directory, 'event-log'))
  try {
    await log.ensureTopics(allTopics)
    const tokens = await fillWithWindows(log, windows)
    const cluster = await Cluster.start({ directory, model, services: ['flatness-scorer'] })
    try {
      const onOneCore = pinToOneCore(cluster.processId('flatness-scorer')!)
      const endMs = await scoredThrough(log)
      const seconds = (endMs - (await firstScoredAtMs(log))) / 1000
      const ops = cluster.opsUrl('flatness-scorer')
      const done = await metricSum(ops, 'plateau_scorer_windows_total')
      if (done !== windows) throw new Error(`the scorer counted ${done} of ${windows} windows`)
      return {
        windows,
        tokens,
        seconds,
        windowsPerSecond: windows / seconds,
        tokensPerSecond: tokens / seconds,
        cpuSeconds: await metricSum(ops, 'plateau_process_cpu_seconds'),
        residentMiB: (await metricSum(ops, 'plateau_process_resident_memory_bytes')) / 2 ** 20,
        onOneCore,
      }
    } finally {
      await cluster.stop()
    }
  } finally {
    await log.close()
    await rm(directory, { recursive: true, force: true })
  }
}

/** The moment by which every window was scored and committed. */
async function scoredThrough(log: EventLog): Promise<number> {
  const topic = topics.tokenDistributions.name
  const ends = await log.offsets(topic)
  for (;;) {
    const committed = await log.committed(GROUP, topic)
    if (ends.every(({ partition, next }) => (committed[partition]?.offset ?? -1) >= next)) return Date.now()
    await sleep(20)
  }
}

async function firstScoredAtMs(log: EventLog): Promise<number> {
  const reader = log.reader({ topic: topics.scoredTokens.name, from: 'earliest', maxBatchRecords: 1 })
  let first = Number.POSITIVE_INFINITY
  // One record of each partition: the first of all is among them.
  const waiting = new Set((await log.offsets(topics.scoredTokens.name)).map(({ partition }) => partition))
  for await (const batch of reader) {
    first = Math.min(first, ScoredWindow.decode(batch.records[0]!.value!).scoredAtMs)
    waiting.delete(batch.partition)
    if (waiting.size === 0) break
  }
  return first
}

/** Every thread of the process on core 0; false where the system has no `taskset`. */
function pinToOneCore(processId: number): boolean {
  try {
    execFileSync('taskset', ['-a', '-c', '-p', '0', String(processId)], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** What the demo target produces at best, on all cores: four clients at once, plain decoding. */
async function measureTarget(model: string): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'plateau-target-'))
  const cluster = await Cluster.start({ directory, model, services: ['target-model'] })
  const client = await TargetClient.connect(cluster.targetAddress, model)
  try {
    const prompts = readPrompts(model, demoDomains[0])
      .prompts.slice(0, 4)
      .map((text) => client.tokenizer.encode(text))
    const run = async (maxTokens: number): Promise<number> => {
      const counts = prompts.map((ids, i) => client.generate(ids, { maxTokens, temperature: 1, seed: i + 1 }))
      return (await Promise.all(counts)).reduce((a, b) => a + b, 0)
    }
    await run(16)
    const startMs = performance.now()
    const tokens = await run(192)
    return tokens / ((performance.now() - startMs) / 1000)
  } finally {
    client.close()
    await cluster.stop()
    await rm(directory, { recursive: true, force: true })
  }
}

function show(
  result: Awaited<ReturnType<typeof measureScorer>> & Record<'targetTokensPerSecond' | 'overTarget', number>,
) {
  const { vocabSize, k, featureSize, leastPositions, mostPositions } = streamShape
  const rows = [
    ['windows', `${result.windows} of ${leastPositions}-${mostPositions} positions`],
    ['record', `V=${vocabSize}, top ${k} and ${featureSize} features in fp16`],
    ['core', result.onOneCore ? 'one' : 'not pinned'],
    ['wall / cpu s', `${result.seconds.toFixed(2)} / ${result.cpuSeconds.toFixed(2)}`],
    ['windows/s', result.windowsPerSecond.toFixed(0)],
    ['tokens/s', result.tokensPerSecond.toFixed(0)],
    ['target tokens/s', result.targetTokensPerSecond.toFixed(0)],
    ['times the target', result.overTarget.toFixed(0)],
  ]
  for (const [name, value] of rows) console.log(`${name!.padEnd(18)}${value}`)
}
