import type { Cluster, PromptSet } from '@plateau/demo'
import { setTimeout as sleep } from 'node:timers/promises'
import { progress } from '../bench-error.js'
import { settled } from '../live-cluster.js'
import { readPublished, type PublishedDraft } from './draft-publisher.js'
import { RolloutState, type RolloutHistory } from './rollout-history.js'
import { SteadyLoad } from './steady-load.js'

export interface TrainingTraffic {
  readonly domains: readonly PromptSet[]
  readonly seconds: number
}

/** The loop learns from traffic, one after the other, and goes on with what it has for as long as that makes versions. */
export async function train(cluster: Cluster, traffic: readonly TrainingTraffic[]): Promise<void> {
  const load = new SteadyLoad({
    url: cluster.httpUrl,
    clients: 4,
    maxTokens: 64,
    temperatures: [1, 0.7, 1, 0],
    labelled: true,
    onCompletion: () => {},
  })
  for (const [i, { domains, seconds }] of traffic.entries()) {
    progress(
      `live traffic (${domains.map(({ name }) => name).join(', ')}) for ${seconds} s, the trainer learns from it`,
    )
    load.switchTo(domains)
    if (i === 0) load.start()
    await sleep(seconds * 1000)
  }
  await load.stop()
  if (load.failures.length > 0) progress(`  ${load.failures.length} requests failed: ${load.failures[0]}`)
}

/** Ends the trainer, and returns the version that is live once serving has decided about all that was published. */
export async function endTraining(cluster: Cluster, history: RolloutHistory): Promise<PublishedDraft> {
  const newest = await settled({ cluster })
  await cluster.terminate('trainer')
  const {
    ROLLOUT_STATE_LIVE: live,
    ROLLOUT_STATE_REJECTED: rejected,
    ROLLOUT_STATE_ROLLED_BACK: rolledBack,
  } = RolloutState
  await history.reached(newest, [live, rejected, rolledBack], 90_000)
  return readPublished(cluster, history.live)
}
