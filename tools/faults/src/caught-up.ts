import { groups, topics } from '@plateau/contracts'
import { metricSum, type Cluster } from '@plateau/demo'
import { readLag, type EventLog } from '@plateau/event-log'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FlowWatch } from './flow-watch.js'

const CAUGHT_UP_MS = 120_000

export interface Flow {
  readonly cluster: Cluster
  readonly log: EventLog
  readonly watch: FlowWatch
}

/** The trainer's count of windows over the lineage's life: of whichever process is the writer. */
export async function trainedWindows(cluster: Cluster): Promise<number> {
  const trainers = cluster.processes.filter((name) => name.startsWith('trainer') && cluster.isRunning(name))
  const counts = await Promise.all(
    trainers.map((name) => metricSum(cluster.opsUrl(name), 'plateau_trainer_lineage_windows')),
  )
  return Math.max(0, ...counts)
}

/** Records that the scorer and the trainer have not committed. */
export async function uncommittedRecords(log: EventLog): Promise<number> {
  const lags = await Promise.all([
    readLag(log, groups.scorer, topics.tokenDistributions.name),
    readLag(log, groups.trainer, topics.trainingWindows.name),
  ])
  return lags.flat().reduce((sum, { records }) => sum + records, 0)
}

/** With nothing new coming in: until the scorer and the trainer have worked everything off. */
export async function caughtUp({ cluster, log, watch }: Flow): Promise<void> {
  const giveUpAtMs = Date.now() + CAUGHT_UP_MS
  for (let quiet = 0; quiet < 3;) {
    const lag = await uncommittedRecords(log).catch(() => Number.NaN)
    const trained = await trainedWindows(cluster).catch(() => Number.NaN)
    const { size } = watch.forTraining
    quiet = lag === 0 && trained >= size ? quiet + 1 : 0
    if (Date.now() > giveUpAtMs) {
      const state = `${lag} records behind, ${trained} of ${size} windows trained`
      throw new Error(`not caught up after ${CAUGHT_UP_MS / 1000} s: ${state}`)
    }
    await sleep(200)
  }
}
