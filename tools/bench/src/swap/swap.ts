/** Versions that take each other's place under load: what a client notices, and what serving's memory does. */
import { Cluster, resolveTarget, type DemoTarget } from '@plateau/demo'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { progress, wholeNumber } from '../bench-error.js'
import { DraftPublisher, type PublishedDraft } from '../live/draft-publisher.js'
import { RolloutHistory, RolloutState } from '../live/rollout-history.js'
import { SteadyLoad } from '../live/steady-load.js'
import type { StreamedCompletion } from '../live/streamed-completion.js'
import { endTraining, train } from '../live/trained-draft.js'
import { quantile } from '../statistics.js'
import { requestFigures, spanOf, stepOf, swapSteps, type Swap, type SwapStep } from './across-swaps.js'
import { gapFigures, gapsOf, splitGaps } from '../live/token-gaps.js'
import { growth, watchMemory } from './memory.js'
import { printSwaps, type SwapReport } from './report.js'

export const swapHelp = `npm run bench -- swap [options]

Swaps of drafts under load: 40 s of live traffic make a draft, then its weights are published again and again under rising
versions, each of which passes verification, the equivalence probe, shadow and canary before it is live. Clients stream all
the time. The time between tokens from a version's announcement until .3 s after it is live is held against the time in
between (gapP99Ratio); failed, restarted and cut off requests are counted; and serving's memory is watched. Some ten minutes.

So that a swap takes about a second serving runs with short stages: PLATEAU_SHADOW_POSITIONS=16, PLATEAU_CANARY_REQUESTS=1,
PLATEAU_STAGE_SECONDS=.3.

  --swaps N            (default 200)
  --clients N          that stream at once (default 4)
  --every-ms N         from one announcement to the next, at least (default 2500)
  --train-seconds N    (default 40)
  --target NAME|PATH   a real target, on all cores (fetched when it is known and missing); its shipped draft is published
                       again, nothing is trained
  --threads N          of the target (default 1; with --target all cores)
  --quick              5 swaps: does it run, not how fast
  --help               this text
`

const SHORT_STAGES = {
  PLATEAU_SHADOW_POSITIONS: '16',
  PLATEAU_CANARY_REQUESTS: '1',
  PLATEAU_STAGE_SECONDS: '0.3',
}
const LONGEST_SWAP_MS = 60_000

interface SwapOptions {
  readonly target: string
  readonly swaps: number
  readonly clients: number
  readonly everyMs: number
  readonly trainSeconds: number
  readonly threads: number
}

export async function benchSwap(args: readonly string[]): Promise<object> {
  const options = parseOptions(args)
  const on = await resolveTarget(options.target, { signal: new AbortController().signal, say: progress })
  const directory = await mkdtemp(join(tmpdir(), 'plateau-swap-'))
  const cluster = await Cluster.start({
    directory,
    model: resolve(on.path),
    env: {
      ...on.env,
      'target-model': { ...on.env['target-model'], PLATEAU_THREADS: String(options.threads) },
      serving: SHORT_STAGES,
    },
  })
  const log = await cluster.openEventLog()
  const history = new RolloutHistory(log)
  try {
    // A shipped draft is there at once; one that begins with nothing learns first.
    const traffic = on.warmStart === undefined ? [{ domains: on.domains, seconds: options.trainSeconds }] : []
    await train(cluster, traffic)
    const draft = await endTraining(cluster, history)
    const publisher = await DraftPublisher.open(cluster, log)
    const report = await swapUnderLoad({ cluster, on, history, publisher, draft }, options)
    printSwaps(report)
    return { ...report, options, serving: SHORT_STAGES }
  } finally {
    await history.close()
    await log.close()
    await cluster.stop()
    await rm(directory, { recursive: true, force: true })
  }
}

interface Stage {
  readonly cluster: Cluster
  readonly on: DemoTarget
  readonly history: RolloutHistory
  readonly publisher: DraftPublisher
  readonly draft: PublishedDraft
}

async function swapUnderLoad({ cluster, on, history, publisher, draft }: Stage, options: SwapOptions) {
  const completions: StreamedCompletion[] = []
  const load = new SteadyLoad({
    url: cluster.httpUrl,
    clients: options.clients,
    maxTokens: 64,
    temperatures: [1, 0.7, 1, 0],
    labelled: true,
    onCompletion: (completion) => completions.push(completion),
  })
  const memoryStop = new AbortController()
  load.switchTo(on.domains)
  load.start()
  await sleep(3000)
  const memory = watchMemory(cluster, memoryStop.signal)
  try {
    const { swaps, notLive, swapMs } = await publishRepeatedly(publisher, draft, history, options)
    await sleep(options.everyMs)
    await load.stop()
    memoryStop.abort()
    return reportOf({ completions, failures: load.failures, swaps, notLive, swapMs, memory: await memory })
  } finally {
    memoryStop.abort()
    await load.stop()
    await publisher.close()
  }
}

interface Published {
  readonly swaps: readonly Swap[]
  /** Versions that did not get there, and why. */
  readonly notLive: readonly string[]
  /** From the arrival of the announcement until it was live, as serving measured it. */
  readonly swapMs: readonly number[]
}

async function publishRepeatedly(
  publisher: DraftPublisher,
  draft: PublishedDraft,
  history: RolloutHistory,
  { swaps: wanted, everyMs }: SwapOptions,
): Promise<Published> {
  const { ROLLOUT_STATE_LIVE: live, ROLLOUT_STATE_REJECTED: rejected } = RolloutState
  const swaps: Swap[] = []
  const notLive: string[] = []
  const swapMs: number[] = []
  // Every tenth may fail before this gives up.
  for (let i = 0; swaps.length < wanted && notLive.length <= wanted / 10; i++) {
    const nextMs = performance.now() + everyMs
    const version = await publisher.publish(draft)
    const end = await history.reached(version, [live, rejected], LONGEST_SWAP_MS)
    if (end?.state === live) {
      swaps.push(swapOf(version, history))
      swapMs.push(end.swapMs)
    } else notLive.push(`version ${version}: ${end?.reason ?? `not live within ${LONGEST_SWAP_MS / 1000} s`}`)
    if (i % 20 === 19) progress(`  ${swaps.length} of ${wanted} swaps`)
    await sleep(Math.max(0, nextMs - performance.now()))
  }
  return { swaps, notLive, swapMs }
}

/** Of a version that is live. */
function swapOf(version: number, history: RolloutHistory): Swap {
  const records = history.of(version)
  const at = (state: RolloutState): number => onOurClock(records.find((record) => record.state === state)!.atMs)
  return {
    version,
    announcedMs: at(RolloutState.ROLLOUT_STATE_ANNOUNCED),
    shadowMs: at(RolloutState.ROLLOUT_STATE_SHADOW),
    canaryMs: at(RolloutState.ROLLOUT_STATE_CANARY),
    liveMs: at(RolloutState.ROLLOUT_STATE_LIVE),
  }
}

/** Serving says when in milliseconds since 1970; arrivals are of this process's monotonic clock. */
function onOurClock(atMs: number): number {
  return atMs - Date.now() + performance.now()
}

interface Seen extends Published {
  readonly completions: readonly StreamedCompletion[]
  readonly failures: readonly string[]
  readonly memory: Awaited<ReturnType<typeof watchMemory>>
}

function reportOf({ completions, failures, swaps, notLive, swapMs, memory }: Seen): SwapReport {
  const gaps = completions.flatMap(({ arrivals }) => gapsOf(arrivals))
  const { inside, outside } = splitGaps(gaps, swaps.map(spanOf))
  const insideOf = (step: SwapStep) =>
    splitGaps(
      gaps,
      swaps.map((swap) => stepOf(swap, step)),
    ).inside
  const [beside, between] = [gapFigures(inside), gapFigures(outside)]
  return {
    swaps: swaps.length,
    notLive,
    failedRequests: failures.length,
    failures: failures.slice(0, 5),
    gapP99Ratio: beside.p99Ms / between.p99Ms,
    gaps: { inside: beside, outside: between },
    gapsByStep: swapSteps.map((step) => ({ step, ...gapFigures(insideOf(step)) })),
    rssGrowthMiB: growth(memory.map(({ residentMiB }) => residentMiB)),
    heapGrowthMiB: growth(memory.map(({ heapMiB }) => heapMiB)),
    swapMs: { p50: quantile(swapMs, 0.5), p99: quantile(swapMs, 0.99) },
    ...requestFigures(completions, swaps),
  }
}

function parseOptions(args: readonly string[]): SwapOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      swaps: { type: 'string' },
      clients: { type: 'string', default: '4' },
      'every-ms': { type: 'string', default: '2500' },
      'train-seconds': { type: 'string' },
      target: { type: 'string' },
      threads: { type: 'string' },
      quick: { type: 'boolean', default: false },
    },
  })
  const { quick, target = 'demo-target' } = values
  const threads = values.threads ?? String(values.target === undefined ? 1 : availableParallelism())
  return {
    target,
    swaps: wholeNumber('swaps', values.swaps ?? (quick ? '5' : '200')),
    clients: wholeNumber('clients', values.clients),
    everyMs: wholeNumber('every-ms', values['every-ms']),
    trainSeconds: wholeNumber('train-seconds', values['train-seconds'] ?? (quick ? '20' : '40')),
    threads: wholeNumber('threads', threads),
  }
}
