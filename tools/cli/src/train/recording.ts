import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { topics, TrainingWindow } from '@plateau/contracts'
import { Cluster, TargetClient } from '@plateau/demo'
import type { EventLog, Reader } from '@plateau/event-log'
import type { WindowStore } from './window-store.js'

export interface RecordingOptions {
  readonly model: string
  /** For the services' event log and their own logs. */
  readonly directory: string
  /** Answers decoded at once. */
  readonly sequences: number
  readonly threads: number | undefined
}

/** How long after the last answer its windows may take through capture and scorer. */
const LAST_WINDOWS_MS = 30_000

/**
 * A target-model and a scorer of our own, and what they publish on its way into a store: windows come as in service, with
 * their weights. An earlier process's windows that had not reached the store are found in the event log and taken first.
 */
export class Recording {
  readonly target: TargetClient
  readonly #cluster: Cluster
  readonly #log: EventLog
  readonly #reader: Reader
  readonly #following: Promise<void>
  readonly #ended = new Set<string>()

  private constructor(cluster: Cluster, log: EventLog, target: TargetClient, store: WindowStore) {
    this.#cluster = cluster
    this.#log = log
    this.target = target
    this.#reader = log.reader({ topic: topics.trainingWindows.name, from: 'earliest' })
    this.#following = this.#follow(store)
    // Reported by whoever waits for it next.
    this.#following.catch(() => {})
  }

  static async start(options: RecordingOptions, store: WindowStore): Promise<Recording> {
    const { directory, model, sequences, threads } = options
    const cluster = await Cluster.start({
      directory: join(directory, 'services'),
      model,
      services: ['target-model', 'flatness-scorer'],
      env: {
        'target-model': {
          PLATEAU_MAX_SEQUENCES: String(sequences),
          ...(threads !== undefined && { PLATEAU_THREADS: String(threads) }),
        },
        // Which answers are judged on is decided with the prompts.
        'flatness-scorer': { PLATEAU_EVALUATION_SHARE: '0' },
      },
    })
    try {
      const log = await cluster.openEventLog()
      const target = await TargetClient.connect(cluster.targetAddress, model)
      const recording = new Recording(cluster, log, target, store)
      await recording.#reader.caughtUp
      return recording
    } catch (thrown) {
      await cluster.stop()
      throw thrown
    }
  }

  /** Waits for the last windows of these samples. Returns how many samples never ended: their capture was shed. */
  async drained(samples: ReadonlySet<string>, now: () => number): Promise<number> {
    const missing = () => [...samples].filter((sample) => !this.#ended.has(sample)).length
    const until = now() + LAST_WINDOWS_MS
    while (missing() > 0 && now() < until) await Promise.race([sleep(200), this.#following])
    return missing()
  }

  async stop(): Promise<void> {
    this.target.close()
    await this.#reader.close()
    try {
      await this.#following
    } finally {
      await this.#log.close()
      await this.#cluster.stop()
    }
  }

  async #follow(store: WindowStore): Promise<void> {
    for await (const { records } of this.#reader) {
      for (const { value } of records) {
        if (value === null) continue
        const window = TrainingWindow.decode(value)
        await store.add(window)
        if (window.window?.last) this.#ended.add(window.window.sampleId)
      }
    }
  }
}
