import { fileStore, MANIFEST_FILE, versionPath, type CheckpointManifest } from '@plateau/checkpoints'
import { Arm, Decision, Rollout, RolloutState, ScoredWindow, topics, TrainingWindow } from '@plateau/contracts'
import { Cluster, demoDomains, readPrompts, Traffic } from '@plateau/demo'
import type { EventLog, LogRecord, Reader } from '@plateau/event-log'
import type { KafkaBroker } from '@plateau/kafka-dev'
import { setTimeout as sleep } from 'node:timers/promises'
import { demoModel } from './demo-model.js'

export interface Freshness {
  readonly windows: number
  readonly versions: number
  /** From target-model's capture of a window until a consumer has its scored record in hand. */
  readonly capturedToScoredMs: Percentiles
  /** From the capture of a kept window until the first version trained on it took requests. */
  readonly keptToLiveMs: Percentiles
}

interface Percentiles {
  readonly p50: number
  readonly p99: number
}

const LINEAGE = 'default'
const MAX_MANIFEST_BYTES = 1024 * 1024

/** The demo's traffic on the broker for so many seconds, seen by a consumer of the public topics. */
export async function measureFreshness(broker: KafkaBroker, directory: string, seconds: number): Promise<Freshness> {
  const cluster = await Cluster.start({
    directory,
    model: demoModel,
    eventLog: { PLATEAU_EVENT_LOG: `kafka:${broker.bootstrapServers.join(',')}`, PLATEAU_KAFKA_REPLICATION: '1' },
    env: { trainer: { PLATEAU_KEEP_VERSIONS: '1000' } },
  })
  const log = await cluster.openEventLog()
  const observed = new Observed(log)
  const traffic = new Traffic({ url: cluster.httpUrl, clients: 4, maxTokens: 64, greedyKept: 1 })
  try {
    const { name, prompts } = readPrompts(demoModel, demoDomains[0])
    traffic.switchTo(name, prompts)
    traffic.start()
    await sleep(seconds * 1000)
    await traffic.stop()
    await sleep(1000)
    const trainedThrough = await readTrainedThrough(cluster.checkpointDirectory, observed.live)
    return {
      windows: observed.scoredAfterMs.length,
      versions: observed.live.length,
      capturedToScoredMs: percentiles(observed.scoredAfterMs),
      keptToLiveMs: percentiles(observed.kept.flatMap((window) => liveAfterMs(window, trainedThrough))),
    }
  } finally {
    await traffic.stop()
    await observed.close()
    await log.close()
    await cluster.stop()
  }
}

interface KeptWindow {
  readonly partition: number
  readonly offset: number
  readonly capturedAtMs: number
}

class Observed {
  readonly scoredAfterMs: number[] = []
  readonly kept: KeptWindow[] = []
  readonly live: { readonly version: number; readonly atMs: number }[] = []
  readonly #readers: Reader[] = []
  readonly #loops: Promise<void>[] = []

  constructor(private readonly log: EventLog) {
    this.#follow(topics.scoredTokens.name, ({ value }) => {
      this.scoredAfterMs.push(Date.now() - ScoredWindow.decode(value!).capturedAtMs)
    })
    this.#follow(topics.trainingWindows.name, ({ partition, offset, value }) => {
      const { window, decision, arm } = TrainingWindow.decode(value!)
      if (decision !== Decision.DECISION_KEEP || arm === Arm.ARM_EVALUATION) return
      this.kept.push({ partition, offset, capturedAtMs: window!.capturedAtMs })
    })
    this.#follow(topics.rollouts.name, ({ value }) => {
      const { state, version, atMs } = Rollout.decode(value!)
      if (state === RolloutState.ROLLOUT_STATE_LIVE) this.live.push({ version, atMs })
    })
  }

  async close(): Promise<void> {
    await Promise.all(this.#readers.map((reader) => reader.close()))
    await Promise.all(this.#loops)
  }

  #follow(topic: string, take: (record: LogRecord) => void): void {
    const reader = this.log.reader({ topic, from: 'earliest' })
    this.#readers.push(reader)
    this.#loops.push(
      (async () => {
        for await (const { records } of reader) records.forEach(take)
      })(),
    )
  }
}

interface LiveVersion {
  readonly atMs: number
  /** Next offset of training-windows that it was not trained on, by partition. */
  readonly through: ReadonlyMap<number, number>
}

/** What each live version was trained on, from the manifests; oldest first. */
async function readTrainedThrough(directory: string, live: Observed['live']): Promise<LiveVersion[]> {
  const store = fileStore(directory)
  return Promise.all(
    live.map(async ({ version, atMs }) => {
      const bytes = await store.read(`${versionPath(LINEAGE, version)}/${MANIFEST_FILE}`, MAX_MANIFEST_BYTES)
      const { trainedThrough } = JSON.parse(Buffer.from(bytes).toString()) as CheckpointManifest
      return { atMs, through: new Map(trainedThrough.map(({ partition, nextOffset }) => [partition, nextOffset])) }
    }),
  )
}

/** Empty for a window of the end, which no version has seen yet. */
function liveAfterMs({ partition, offset, capturedAtMs }: KeptWindow, versions: readonly LiveVersion[]): number[] {
  const first = versions.find(({ through }) => (through.get(partition) ?? 0) > offset)
  return first === undefined ? [] : [first.atMs - capturedAtMs]
}

function percentiles(values: readonly number[]): Percentiles {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99) }
}
