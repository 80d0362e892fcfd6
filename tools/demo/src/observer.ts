import {
  Acceptance,
  Arm,
  Decision,
  groups,
  Rollout,
  RolloutState,
  ScoredWindow,
  SelectionPolicy,
  TokenWindow,
  topics,
} from '@plateau/contracts'
import { setTimeout as sleep } from 'node:timers/promises'
import { readLag, type EventLog, type LogRecord, type Reader } from '@plateau/event-log'

/** Groups whose lag the demo shows. */
export const lagGroups = [
  { group: groups.scorer, topic: topics.tokenDistributions.name, label: 'scorer' },
  { group: groups.trainer, topic: topics.trainingWindows.name, label: 'trainer' },
] as const

export interface CapturedWindow {
  readonly atMs: number
  readonly window: TokenWindow
}

/**
 * Reads Plateau's topics as any other team would, and keeps what the demo shows: acceptance by version, what was kept,
 * what went live when, and the captured distributions that drafts are compared on.
 */
export class Observer {
  readonly acceptance: Acceptance[] = []
  readonly rollouts: Rollout[] = []
  readonly windows: CapturedWindow[] = []
  readonly counts = { captured: 0, scored: 0, kept: 0, control: 0, evaluation: 0, selected: 0 }
  /** In force for the lineage; undefined until the trainer has published one. */
  policy: SelectionPolicy | undefined
  /** First reason the observer could not go on, for the demo to report. */
  failure: unknown
  readonly #readers: Reader[] = []
  readonly #loops: Promise<void>[] = []

  /** Of a log that others have used before, only what comes from now on counts. */
  constructor(
    private readonly log: EventLog,
    private readonly lineage: string,
    private readonly from: 'earliest' | 'latest' = 'earliest',
  ) {}

  /** Resolves when every topic is being followed. */
  async start(): Promise<void> {
    this.#follow(topics.acceptance.name, (record) => {
      const acceptance = Acceptance.decode(record.value!)
      if (acceptance.lineage === this.lineage) this.acceptance.push(acceptance)
    })
    this.#follow(topics.rollouts.name, (record) => {
      if (record.key === this.lineage) this.rollouts.push(Rollout.decode(record.value!))
    })
    this.#follow(topics.tokenDistributions.name, (record) => {
      this.counts.captured++
      this.windows.push({ atMs: record.timestampMs, window: TokenWindow.decode(record.value!) })
    })
    this.#follow(topics.scoredTokens.name, (record) => this.#count(ScoredWindow.decode(record.value!)))
    this.#follow(topics.selectionPolicy.name, (record) => {
      if (record.key === this.lineage) this.policy = SelectionPolicy.decode(record.value!)
    })
    await Promise.all(this.#readers.map((reader) => reader.caughtUp))
  }

  async stop(): Promise<void> {
    await Promise.all(this.#readers.map((reader) => reader.close()))
    await Promise.all(this.#loops)
  }

  /** Versions that took traffic, in order, with the time they did. */
  get live(): { version: string; atMs: number }[] {
    return this.rollouts
      .filter((rollout) => rollout.state === RolloutState.ROLLOUT_STATE_LIVE)
      .map((rollout) => ({ version: String(rollout.version), atMs: rollout.atMs }))
  }

  /** Drafts that replaced another one. */
  get swaps(): number {
    return Math.max(0, this.live.length - 1)
  }

  /** All windows of a sample, once its last one has been captured. Throws when that takes longer than `withinMs`. */
  async windowsOf(sampleId: string, withinMs: number): Promise<TokenWindow[]> {
    const until = Date.now() + withinMs
    for (;;) {
      const found = this.windows.map(({ window }) => window).filter((window) => window.sampleId === sampleId)
      if (found.some(({ last }) => last)) return found.toSorted((a, b) => a.windowIndex - b.windowIndex)
      if (this.failure) throw this.failure
      if (Date.now() > until) throw new Error(`the windows of ${sampleId} were not captured within ${withinMs} ms`)
      await sleep(50)
    }
  }

  /** Records between what a group committed and the end of its topic. */
  async lag(group: string, topic: string): Promise<number> {
    return (await readLag(this.log, group, topic)).reduce((sum, { records }) => sum + records, 0)
  }

  #count(scored: ScoredWindow): void {
    this.counts.scored++
    if (scored.arm === Arm.ARM_EVALUATION) this.counts.evaluation++
    else if (scored.arm === Arm.ARM_CONTROL) this.counts.control++
    else this.counts.selected++
    if (scored.decision === Decision.DECISION_KEEP) this.counts.kept++
  }

  #follow(topic: string, take: (record: LogRecord) => void): void {
    const reader = this.log.reader({ topic, from: this.from })
    this.#readers.push(reader)
    this.#loops.push(this.#read(reader, take))
  }

  async #read(reader: Reader, take: (record: LogRecord) => void): Promise<void> {
    try {
      for await (const batch of reader) for (const record of batch.records) if (record.value) take(record)
    } catch (error) {
      this.failure ??= error
    }
  }
}

/** Acceptance within a span of time, over all versions and tenants. */
export function acceptanceBetween(records: readonly Acceptance[], fromMs: number, toMs: number) {
  const sums = { drafts: 0, draftTokens: 0, accepted: 0, emitted: 0, alphaSum: 0, alphaPositions: 0 }
  for (const record of records) {
    if (record.toMs <= fromMs || record.toMs > toMs) continue
    sums.drafts += record.numDrafts
    sums.draftTokens += record.numDraftTokens
    sums.accepted += record.numAcceptedTokens
    sums.emitted += record.numEmittedTokens
    sums.alphaSum += record.alphaSum
    sums.alphaPositions += record.alphaPositions
  }
  return {
    ...sums,
    /** 1 + accepted / drafts: the bonus or recovered token is counted. Without drafts every step yields one token. */
    acceptanceLength: sums.drafts > 0 ? 1 + sums.accepted / sums.drafts : 1,
    alpha: sums.alphaPositions > 0 ? sums.alphaSum / sums.alphaPositions : Number.NaN,
  }
}
