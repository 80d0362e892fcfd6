/**
 * A real model with the services as processes: tokens a second without and with speculation, beside llama.cpp, first with
 * the draft that the lineage begins with, then with what it has become after so many tokens of live traffic. The trainer
 * is stopped before the second measurement: what training costs beside serving would fall on the sides unevenly.
 */
import { Cluster } from '@plateau/demo'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { progress } from './bench-error.js'
import { settled, teach, withLiveCluster, type Live } from './live-cluster.js'
import { LlamaCppEngine } from './llama-cpp/engine.js'
import { ggufOf, openRealModel } from './real-model.js'
import { printTurns, summarise } from './speculate-report.js'
import { takeTurns } from './speculate-turns.js'

export interface SpeculateRealOptions {
  readonly target: string
  readonly threads: number
  readonly promptsPerDomain: number
  readonly maxTokens: number
  readonly temperatures: readonly number[]
  readonly onlineTokens: number
  readonly llamaCpp: boolean
}

export async function benchSpeculateReal(options: SpeculateRealOptions): Promise<object> {
  return withLiveCluster({ ...options, warm: true }, async (live) => {
    const model = await openRealModel({ model: live.on.path })
    const llamaCpp = options.llamaCpp ? await LlamaCppEngine.open(ggufOf(model), options.threads) : undefined
    const lookup = await startLookupOnly(live, options.threads)
    const measure = () =>
      takeTurns({
        ...options,
        cluster: live.cluster,
        lookupOnly: lookup.cluster,
        llamaCpp,
        tokenizer: model.tokenizer,
        domains: live.on.domains,
      })
    try {
      const begins = live.on.warmStart === undefined ? 'nothing' : 'the shipped draft'
      const start = await measure()
      printTurns(`the draft that the lineage begins with (${begins})`, start)
      progress(`live traffic: ${options.onlineTokens} tokens`)
      const taught = await teach(live, { tokens: options.onlineTokens, domains: live.on.domains, maxSeconds: 3600 })
      const version = await settled(live)
      await live.cluster.terminate('trainer')
      const reached = await measure()
      printTurns(
        `after ${taught.tokens} tokens of live traffic in ${taught.seconds.toFixed(0)} s, version ${version}`,
        reached,
      )
      const { overPlain, overLlamaCpp, alpha, overheadShare } = summarise(reached)
      return {
        overPlain,
        overLlamaCpp,
        alpha,
        overheadShare,
        onlineTokens: taught.tokens,
        onlineSeconds: taught.seconds,
        version,
        begins,
        start: { ...summarise(start), rows: start },
        rows: reached,
        options,
      }
    } finally {
      await lookup.stop()
      await llamaCpp?.close()
    }
  })
}

/** Target and serving on a store without a draft. Idle while others answer. */
async function startLookupOnly({ on }: Live, threads: number) {
  const directory = await mkdtemp(join(tmpdir(), 'plateau-lookup-'))
  const cluster = await Cluster.start({
    directory,
    model: resolve(on.path),
    services: ['target-model', 'serving'],
    env: { ...on.env, 'target-model': { ...on.env['target-model'], PLATEAU_THREADS: String(threads) } },
  })
  const stop = async (): Promise<void> => {
    await cluster.stop()
    await rm(directory, { recursive: true, force: true })
  }
  return { cluster, stop }
}
