import { decodeHeaders, messageOf, PlateauError, topics, type rollout } from '@plateau/contracts'
import type { EventLog, LogRecord } from '@plateau/event-log'
import type { DraftRouter } from '@plateau/rollout'
import type { Logger } from '@plateau/telemetry'
import type { OrderBy, RolloutControl } from '../rollout-api.js'
import { decodeAnnouncement } from './announcements.js'
import { followTopic } from './follow-topic.js'
import type { HeldOutWindows } from './held-out-windows.js'
import type { DriftWatch, SpeculatedResponse } from '../drift-watch.js'
import { lineageStatus } from './lineage-status.js'
import type { LineageAssignment } from './assign-version.js'
import type { LineageRollout } from './lineage-rollout.js'
import type { LoadedDraft } from './loaded-draft.js'
import { decodeOrder, type Order } from './order-book.js'
import type { DraftPair } from './paired-sessions.js'
import { orderKey, type RolloutReporter } from './rollout-reporter.js'

/** What a request is served with. */
export interface Assignment {
  /** Proposes from the first token to the last; undefined: plain decoding, or copies only. */
  readonly draft: LoadedDraft | undefined
  /** Two versions that are compared on it. */
  readonly pair: DraftPair | undefined
  /** A session of the draft, or of one that is compared, failed; the request goes on without it. */
  failed(loaded: LoadedDraft, error: unknown): void
  /** The response has ended. */
  finished(outcome: SpeculationOutcome): void
  /** Idempotent. */
  release(): void
}

/** What became of a response's proposals. */
export type SpeculationOutcome = Pick<SpeculatedResponse, 'draft' | 'all'>

export interface Traffic {
  readonly sampleId: string
  readonly tenant: string
  readonly domain: string
}

export interface DraftFleetOptions {
  /** The first is the one that requests use unless another is known to be better for them. */
  readonly lineages: readonly LineageRollout[]
  readonly floor: () => LoadedDraft | undefined
  readonly router: DraftRouter
  /** Uniform in [0, 1). */
  readonly draw: () => number
  readonly windows: HeldOutWindows
  readonly reporter: RolloutReporter
  readonly drift: DriftWatch
  readonly eventLog: EventLog
  readonly server: string
  /** A record that is no announcement or no order. */
  readonly onInvalid: () => void
  /** Called when the last draft is released. */
  readonly onClosed: () => Promise<void>
  readonly logger: Logger
  readonly clock: () => number
}

/** Without drafts. */
export const UNASSIGNED: Assignment = {
  draft: undefined,
  pair: undefined,
  failed: () => {},
  finished: () => {},
  release: () => {},
}

/** All drafts of this server: follows what is announced and ordered, and says which draft a request uses. */
export class DraftFleet implements RolloutControl {
  readonly #options: DraftFleetOptions
  readonly #lineages: ReadonlyMap<string, LineageRollout>
  readonly #stop = new AbortController()
  readonly #early = new Map<string, Order>()
  #seenOrder = -1
  #restored = false

  constructor(options: DraftFleetOptions) {
    this.#options = options
    this.#lineages = new Map(options.lineages.map((lineage) => [lineage.lineage, lineage]))
  }

  get lineages(): readonly LineageRollout[] {
    return this.#options.lineages
  }

  /** Runs until `close`. Rejects when the log cannot be read, and trying again cannot help. */
  async run(): Promise<void> {
    const { eventLog, logger, windows } = this.#options
    const common = { eventLog, logger, signal: this.#stop.signal }
    for (const lineage of this.lineages) lineage.start()
    const caughtUp = Promise.withResolvers<void>()
    const orders = followTopic({
      ...common,
      topic: topics.rolloutOrders.name,
      from: 'earliest',
      onRecords: (records) => this.#orders(records),
      onCaughtUp: () => {
        this.#restore()
        caughtUp.resolve()
      },
    })
    const held = followTopic({
      ...common,
      topic: topics.trainingWindows.name,
      from: 'latest',
      onRecords: (records) => windows.add(records),
    })
    // What was found bad must be known before anything is tested.
    await Promise.race([caughtUp.promise, orders])
    const announcements = followTopic({
      ...common,
      topic: topics.draftCheckpoints.name,
      from: 'earliest',
      onRecords: (records) => this.#announced(records),
    })
    await Promise.all([orders, held, announcements])
  }

  /** By label and learned acceptance to one of the drafts in memory; by the roll-out to one of its lineage's versions. */
  assign(traffic: Traffic): Assignment {
    const { router, draw } = this.#options
    const { sampleId, tenant, domain } = traffic
    const slice = { tenant, domain }
    const label = domain || tenant
    const [primary, ...others] = this.lineages
    if (primary === undefined) return UNASSIGNED
    const arms = new Map<string, LoadedDraft | LineageRollout>([[armOf(primary), primary]])
    for (const lineage of others) if (lineage.live !== undefined) arms.set(armOf(lineage), lineage)
    for (const { kept, pinned } of this.lineages)
      if (pinned === 0) for (const version of kept) arms.set(version.identity.name, version)
    const floor = this.#options.floor()
    if (floor !== undefined) arms.set(floor.identity.name, floor)
    const chosen = arms.get(router.route(label, [...arms.keys()], draw(), primary.lastGood?.identity.name))!
    const assigned = 'assign' in chosen ? chosen.assign(sampleId, slice) : alone(chosen)
    return this.#assignment(assigned, label, traffic)
  }

  status(lineage: string): rollout.ListVersionsResponse {
    const { server } = this.#options
    const chosen = lineage === '' ? this.lineages : [this.#lineage(lineage)]
    return { server, lineages: chosen.map((one) => lineageStatus(one)) }
  }

  promote(lineage: string, version: number, order: OrderBy): Promise<number> {
    return this.#lineage(lineage).promote(version, ordered(order))
  }

  rollback(lineage: string, version: number, order: OrderBy): Promise<{ version: number; liveVersion: number }> {
    return this.#lineage(lineage).rollback(version, ordered(order))
  }

  pin(lineage: string, version: number, order: OrderBy): Promise<number> {
    return this.#lineage(lineage).pin(version, ordered(order))
  }

  unpin(lineage: string, order: OrderBy): Promise<number> {
    return this.#lineage(lineage).unpin(ordered(order))
  }

  /** Resolves when nothing is being loaded any more. */
  async idle(): Promise<void> {
    await Promise.all(this.lineages.map((lineage) => lineage.idle()))
  }

  /** End the requests first. */
  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.lineages.map((lineage) => lineage.close()))
    await this.#options.floor()?.retire()
    await this.#options.onClosed()
  }

  #assignment({ lease, pair, finished }: LineageAssignment, label: string, traffic: Traffic): Assignment {
    const { router, drift } = this.#options
    const draft = lease?.loaded
    return {
      draft,
      pair,
      failed: (loaded, error) => this.#lineages.get(loaded.identity.lineage)?.failed(loaded, error),
      finished: (outcome) => {
        const { accepted, judged } = outcome.draft
        if (draft !== undefined) router.observe(label, draft.identity.name, accepted, judged)
        finished(accepted, judged)
        // Whether it is the draft or the traffic is for the comparison to say.
        const fell = drift.finished({ ...traffic, ...outcome })
        if (fell && draft !== undefined) this.#lineages.get(draft.identity.lineage)?.suspect()
      },
      release: () => {
        lease?.release()
        pair?.candidate.release()
        pair?.incumbent?.release()
      },
    }
  }

  #announced(records: readonly LogRecord[]): void {
    const newest = new Map<string, ReturnType<typeof decodeAnnouncement>>()
    for (const record of records) {
      if (record.key === null || !this.#lineages.has(record.key)) continue
      const found = this.#decoded(record, () => decodeAnnouncement(record, this.#options.clock()))
      if (found !== undefined) newest.set(record.key, found)
    }
    for (const [lineage, announcement] of newest) this.#lineages.get(lineage)!.announced(announcement!)
  }

  #orders(records: readonly LogRecord[]): void {
    for (const record of records) {
      // A reader that was opened again begins at the beginning.
      if (record.offset <= this.#seenOrder) continue
      this.#seenOrder = record.offset
      const order = this.#decoded(record, () => decodeOrder(record))
      if (order === undefined || !this.#lineages.has(order.lineage)) continue
      // Done before it was written; by now it may be overtaken.
      if (this.#options.reporter.isOwn(decodeHeaders(record.headers)!.id)) continue
      if (this.#restored) this.#lineages.get(order.lineage)!.follow(order)
      else this.#early.set(orderKey(order.lineage, order.kind, order.version), order)
    }
  }

  /** Those from before this server was there are where it begins. */
  #restore(): void {
    if (this.#restored) return
    this.#restored = true
    for (const [name, lineage] of this.#lineages) {
      lineage.restore([...this.#early.values()].filter((order) => order.lineage === name))
    }
    this.#early.clear()
  }

  #decoded<T>(record: LogRecord, decode: () => T): T | undefined {
    try {
      return decode()
    } catch (error) {
      const { topic, partition, offset } = record
      this.#options.logger.error('record cannot be used', { topic, partition, offset, error: messageOf(error) })
      this.#options.onInvalid()
      return undefined
    }
  }

  #lineage(name: string): LineageRollout {
    const found = this.#lineages.get(name)
    if (found !== undefined) return found
    const served = [...this.#lineages.keys()].join(', ')
    throw new PlateauError('NOT_FOUND', `lineage ${JSON.stringify(name)} is not served here; served: ${served}`, {
      facts: { field: 'lineage' },
    })
  }
}

/** A lineage goes under the name of what it has live, so that what is known of a version is not said of the next. */
function armOf(lineage: LineageRollout): string {
  return lineage.live?.loaded.identity.name ?? `${lineage.lineage}/none`
}

function alone(loaded: LoadedDraft): LineageAssignment {
  return { lease: loaded.lease(), pair: undefined, finished: () => {} }
}

function ordered({ by, reason }: OrderBy): { readonly reason: string; readonly orderedBy: string } {
  return { reason, orderedBy: by }
}
