import { ScoredWindow, topics, TrainingWindow } from '@plateau/contracts'
import type { EventLog, LogRecord, Reader } from '@plateau/event-log'

/**
 * Reads the scorer's two output topics all the time, as a consumer of them would: what was decided about every window,
 * and when records came.
 */
export class FlowWatch {
  /** Distinct decisions by window ("<sample>/<index>"): two for one window would be a window counted twice. */
  readonly decisions = new Map<string, Set<string>>()
  /** The ce_id of every window's training record. */
  readonly forTraining = new Map<string, string>()
  /** Windows whose training record came under two ids: consumers would take it twice. */
  readonly twoIds = new Set<string>()
  /** Scored records that repeated one seen before: redelivery, which consumers drop by its ce_id. */
  repeated = 0
  readonly scoredAtMs: number[] = []
  failure: unknown
  readonly #readers: Reader[]
  readonly #loops: Promise<void>[]

  constructor(log: EventLog) {
    const follow = (topic: string) => log.reader({ topic, from: 'earliest' })
    const [scored, training] = [follow(topics.scoredTokens.name), follow(topics.trainingWindows.name)]
    this.#readers = [scored, training]
    this.#loops = [
      this.#read(scored, (record) => this.#scored(record)),
      this.#read(training, (record) => this.#training(record)),
    ]
  }

  async close(): Promise<void> {
    await Promise.all(this.#readers.map((reader) => reader.close()))
    await Promise.all(this.#loops)
  }

  /** Seconds of the longest silence between two scored records since `fromMs`; a silence that lasts until now counts. */
  longestStallSeconds(fromMs: number, nowMs: number): number {
    const times = [fromMs, ...this.scoredAtMs.filter((at) => at > fromMs), nowMs]
    return Math.max(...times.slice(1).map((at, i) => at - times[i]!)) / 1000
  }

  #scored({ value }: LogRecord): void {
    this.scoredAtMs.push(Date.now())
    const scored = ScoredWindow.decode(value!)
    const window = `${scored.sampleId}/${scored.windowIndex}`
    const decision = `${scored.arm}/${scored.decision}/${scored.score}`
    const decisions = this.decisions.get(window)
    if (decisions === undefined) this.decisions.set(window, new Set([decision]))
    else {
      this.repeated++
      decisions.add(decision)
    }
  }

  #training({ value, headers }: LogRecord): void {
    const { sampleId, windowIndex } = TrainingWindow.decode(value!).window!
    const [window, id] = [`${sampleId}/${windowIndex}`, headers['ce_id']!]
    const known = this.forTraining.get(window)
    if (known === undefined) this.forTraining.set(window, id)
    else if (known !== id) this.twoIds.add(window)
  }

  async #read(reader: Reader, take: (record: LogRecord) => void): Promise<void> {
    try {
      for await (const { records } of reader) for (const record of records) take(record)
    } catch (error) {
      this.failure ??= error
    }
  }
}
