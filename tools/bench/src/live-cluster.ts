/** The demo's services on a real model, and the traffic that teaches their draft. */
import { Cluster, metricSum, resolveTarget, Traffic, type DemoTarget } from '@plateau/demo'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { progress } from './bench-error.js'

export interface LiveOptions {
  readonly target: string
  readonly threads: number
  /** Begin from the draft that the repository ships for this target, where there is one. */
  readonly warm: boolean
}

export interface Live {
  readonly cluster: Cluster
  readonly on: DemoTarget
}

/** Runs `use` on a cluster of its own, which is gone afterwards. */
export async function withLiveCluster<T>(options: LiveOptions, use: (live: Live) => Promise<T>): Promise<T> {
  const signal = new AbortController().signal
  const on = await resolveTarget(options.target, { signal, say: progress })
  const directory = await mkdtemp(join(tmpdir(), 'plateau-bench-'))
  progress('starting target-model, flatness-scorer, trainer and serving')
  const { PLATEAU_WARM_START: warmStart, ...trainer } = on.env.trainer ?? {}
  const cluster = await Cluster.start({
    directory,
    model: resolve(on.path),
    env: {
      ...on.env,
      'target-model': { ...on.env['target-model'], PLATEAU_THREADS: String(options.threads) },
      trainer: { ...trainer, ...(options.warm && warmStart ? { PLATEAU_WARM_START: warmStart } : {}) },
    },
  })
  try {
    return await use({ cluster, on: options.warm ? on : { ...on, warmStart: undefined } })
  } finally {
    await cluster.stop()
    await rm(directory, { recursive: true, force: true })
  }
}

export interface TeachingOptions {
  /** Response tokens of the traffic, all captured. */
  readonly tokens: number
  /** In turn, twice each, so that the draft has recent data of all. */
  readonly domains: DemoTarget['domains']
  readonly maxSeconds: number
  /** Called about twice a second; true ends it early. */
  readonly watch?: (tokens: number, seconds: number) => Promise<boolean>
}

/** Sends traffic until the target has answered with so many tokens. Returns how many, and the seconds it took. */
export async function teach({ cluster }: Live, options: TeachingOptions): Promise<{ tokens: number; seconds: number }> {
  const traffic = new Traffic({ url: cluster.httpUrl, clients: 4, maxTokens: 128, greedyKept: 1 })
  const turns = [...options.domains, ...options.domains]
  const generated = () => metricSum(cluster.opsUrl('serving'), 'plateau_generation_tokens_total')
  const [startTokens, startMs] = [await generated(), performance.now()]
  let [tokens, seconds, turn, saidSeconds] = [0, 0, -1, 0]
  try {
    for (; tokens < options.tokens && seconds < options.maxSeconds; await sleep(500)) {
      const due = Math.min(turns.length - 1, Math.floor((tokens / options.tokens) * turns.length))
      if (due !== turn) {
        const { name, prompts } = turns[due]!
        traffic.switchTo(name, prompts)
        if (turn < 0) traffic.start()
        turn = due
      }
      tokens = (await generated()) - startTokens
      seconds = (performance.now() - startMs) / 1000
      if (await options.watch?.(tokens, seconds)) break
      if (seconds < saidSeconds + 15) continue
      saidSeconds = seconds
      progress(`  ${tokens} of ${options.tokens} tokens after ${seconds.toFixed(0)} s`)
    }
  } finally {
    await traffic.stop()
  }
  if (traffic.failures.length > 0) progress(`  ${traffic.failures.length} requests failed: ${traffic.failures[0]}`)
  return { tokens, seconds }
}

/** The trainer goes on with what it has: until it has published nothing for 20 s, at most two minutes. */
export async function settled({ cluster }: Pick<Live, 'cluster'>): Promise<number> {
  const version = () => metricSum(cluster.opsUrl('trainer'), 'plateau_trainer_version')
  let newest = await version()
  for (let seconds = 0, still = 0; seconds < 120 && still < 20; seconds++, still++) {
    await sleep(1000)
    const now = await version()
    if (now !== newest) still = 0
    newest = now
  }
  return newest
}
