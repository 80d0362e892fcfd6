import { messageOf, PlateauError, RolloutOrderKind, RolloutState } from '@plateau/contracts'
import { VersionTrial, type Move, type TrafficLabels } from '@plateau/rollout'
import { currentTraceparent, type Logger } from '@plateau/telemetry'
import type { Announcement } from './announcements.js'
import { assignVersion, requestShare, type LineageAssignment, type Standing } from './assign-version.js'
import type { HeldOutWindows } from './held-out-windows.js'
import type { LoadedDraft } from './loaded-draft.js'
import type { Order } from './order-book.js'
import type { OrderDetails, RolloutDetails, RolloutReporter } from './rollout-reporter.js'
import { RolloutTrace } from './rollout-trace.js'
import {
  IDLE_STAGE_MS,
  MAX_FAILURES,
  SUSPECTED_RESPONSES,
  WINDOW_POSITIONS,
  type RolloutSettings,
} from './rollout-settings.js'
import { STATE_OF, wireEvidence, type ServedPhase, type ServedVersion } from './served-version.js'
import { untilItCan } from './until-it-can.js'
import { VersionLoader, type VersionLoaderOptions } from './version-loader.js'

export interface LineageRolloutOptions extends Omit<VersionLoaderOptions, 'maxProposal' | 'signal'> {
  readonly settings: RolloutSettings
  readonly windows: HeldOutWindows
  /** Proposes where no version is live, and is what the first one is compared with. Its owner releases it. */
  readonly floor: () => LoadedDraft | undefined
  readonly reporter: RolloutReporter
  /** Which of these replaced versions should stay loaded for traffic that they are best at. */
  readonly keep: (replaced: readonly LoadedDraft[]) => ReadonlySet<LoadedDraft>
  /** New requests use another version; `from`: of one that took another's place, not of a rollback. */
  readonly onSwap: (from?: SwapTimes) => void
  readonly onRejected: () => void
  readonly onRolledBack: () => void
  readonly logger: Logger
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

export interface SwapTimes {
  /** Since its announcement arrived. */
  readonly swapMs: number
  /** When the newest window behind it was captured, milliseconds since 1970; 0 = not known. */
  readonly newestWindowAtMs: number
}

/** Between tries at the version to begin with. */
const BEGIN_AGAIN_MS = 2_000
/** Between looks at whether a step is over by time. */
const LOOK_MS = 100
const {
  ROLLOUT_ORDER_KIND_LIVE,
  ROLLOUT_ORDER_KIND_PIN,
  ROLLOUT_ORDER_KIND_UNPIN,
  ROLLOUT_ORDER_KIND_RETIRE,
  ROLLOUT_ORDER_KIND_PROMOTE,
} = RolloutOrderKind
const {
  ROLLOUT_STATE_ANNOUNCED,
  ROLLOUT_STATE_LIVE,
  ROLLOUT_STATE_PINNED,
  ROLLOUT_STATE_REJECTED,
  ROLLOUT_STATE_REPLACED,
  ROLLOUT_STATE_ROLLED_BACK,
  ROLLOUT_STATE_UNPINNED,
  ROLLOUT_STATE_VERIFIED,
} = RolloutState

/**
 * One lineage's versions on this server: which one is live, which one is tested, which one a rollback goes back to.
 *
 *   announced ──▶ verified ──▶ shadow ──▶ canary ──▶ live ──▶ confirmed ──▶ replaced
 *       │            │           │          │         │           │
 *       └────────────┴─ rejected ┴──────────┘         └─ rolled back: the version before takes its place
 *
 * One version is tested at a time; of those announced meanwhile the newest is next. Whatever goes wrong with a version,
 * the one that is live stays. `pinned`: an operator's version is live, and nothing is tested.
 */
export class LineageRollout {
  readonly #options: LineageRolloutOptions
  readonly #stop = new AbortController()
  readonly #retired = new Set<number>()
  readonly #loader: VersionLoader
  readonly #failures = new Map<LoadedDraft, number>()
  readonly #releases = new Set<Promise<void>>()
  #live: ServedVersion | undefined
  #candidate: ServedVersion | undefined
  /** What a rollback goes back to. */
  #lastGood: LoadedDraft | undefined
  /** Replaced, and best at some traffic. */
  #kept: readonly LoadedDraft[] = []
  #newest: Announcement | undefined
  #pinned = 0
  /** Loading and swapping: one thing at a time. */
  #work: Promise<void> = Promise.resolve()
  #bringing = false
  /** Whose files could not be read yet; 0 = none. */
  #putOffVersion = 0
  #bringAgain: NodeJS.Timeout | undefined
  #lastRequestMs = 0
  /** Responses that are still to be compared because acceptance fell. */
  #suspected = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: LineageRolloutOptions) {
    this.#options = options
    const { maxProposal } = options.settings
    this.#loader = new VersionLoader({ ...options, maxProposal, signal: this.#stop.signal })
  }

  get lineage(): string {
    return this.#options.lineage
  }

  get live(): ServedVersion | undefined {
    return this.#live
  }

  get candidate(): ServedVersion | undefined {
    return this.#candidate
  }

  get lastGood(): LoadedDraft | undefined {
    return this.#lastGood
  }

  get kept(): readonly LoadedDraft[] {
    return this.#kept
  }

  get pinned(): number {
    return this.#pinned
  }

  get newestAnnounced(): number {
    return this.#newest?.checkpoint.version ?? this.#loader.newest
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#decide(), LOOK_MS).unref()
  }

  /** Delivery is at least once: what is live, tested or out already is not news. */
  announced(announcement: Announcement): void {
    const { checkpoint } = announcement
    this.#loader.remember(checkpoint)
    if (this.#stop.signal.aborted || this.#isOld(checkpoint.version)) return
    this.#newest = announcement
    this.#bringNext()
  }

  /** Another server's order, in the order of the log. Idempotent. */
  follow(order: Order): void {
    const { kind, version, checkpoint, reason, orderedBy } = order
    if (checkpoint !== undefined) this.#loader.remember(checkpoint)
    const details = { reason, orderedBy, isFollowed: true }
    if (kind === ROLLOUT_ORDER_KIND_UNPIN) return this.#unpin(details)
    const applied = this.#enqueue(async () => {
      if (kind === ROLLOUT_ORDER_KIND_RETIRE) await this.#takeOff(version, details)
      else if (kind === ROLLOUT_ORDER_KIND_PIN) await this.#makeLive(version, details, true)
      else if (kind === ROLLOUT_ORDER_KIND_PROMOTE) await this.#makeLive(version, details, false)
    })
    // Why it could not be done was said where it failed.
    applied.catch(() => {})
  }

  /** What this server begins with: the orders that were there when it started. A version that cannot be had is said and passed over. */
  restore(orders: readonly Order[]): void {
    for (const { kind, version } of orders) if (kind === ROLLOUT_ORDER_KIND_RETIRE) this.#retired.add(version)
    const pin = orders.find(({ kind }) => kind === ROLLOUT_ORDER_KIND_PIN)
    const begin = pin ?? orders.find(({ kind }) => kind === ROLLOUT_ORDER_KIND_LIVE)
    for (const { checkpoint } of orders) if (checkpoint !== undefined) this.#loader.remember(checkpoint)
    if (begin === undefined || (this.#retired.has(begin.version) && pin === undefined)) return
    const reason = pin === undefined ? 'it was the last one found good' : `pinned: ${pin.reason}`
    const details = { reason, orderedBy: pin?.orderedBy ?? '' }
    // For as long as the store is away there is no other version to begin with either.
    const begun = (): Promise<void> => this.#makeLive(begin.version, details, pin !== undefined, 'tried again')
    void this.#enqueue(() => untilItCan(begun, BEGIN_AGAIN_MS, this.#stop.signal)).catch(() => {})
  }

  /** What a request is served with, and takes part in. */
  assign(sampleId: string, labels: TrafficLabels): LineageAssignment {
    this.#lastRequestMs = this.#options.clock()
    const assigned = assignVersion(this.#standing(), sampleId, labels, this.#suspected > 0)
    if (assigned.pair !== undefined && this.#suspected > 0) this.#suspected--
    return {
      ...assigned,
      finished: (accepted, judged) => {
        assigned.finished(accepted, judged)
        this.#decide()
      },
    }
  }

  /** Share of new requests that a version gets by the roll-out alone. */
  shareOf(loaded: LoadedDraft): number {
    return requestShare(loaded, this.#standing())
  }

  /** Acceptance fell: the next responses are all compared, so that a draft that is at fault is found out soon. */
  suspect(): void {
    this.#suspected = SUSPECTED_RESPONSES
  }

  /** A session of this version failed; the request went on without it. */
  failed(loaded: LoadedDraft, error: unknown): void {
    const failures = (this.#failures.get(loaded) ?? 0) + 1
    this.#failures.set(loaded, failures)
    if (failures !== MAX_FAILURES) return
    const reason = `its sessions failed ${failures} times, last: ${messageOf(error)}`
    const decision = { reason, orderedBy: '' }
    if (loaded === this.#candidate?.loaded) this.#reject(decision)
    else if (loaded === this.#live?.loaded && this.#pinned === 0) this.#rollBack(decision)
  }

  async promote(version: number, details: OrderDetails): Promise<number> {
    const chosen = version || this.#candidate?.loaded.version || this.newestAnnounced
    if (chosen === 0) throw refused(`lineage ${this.lineage} has no version to promote`)
    if (this.#pinned > 0) throw refused(`version ${this.#pinned} is pinned: unpin it first`)
    if (chosen === this.#live?.loaded.version) throw refused(`version ${chosen} is live already`)
    return this.#ordered(ROLLOUT_ORDER_KIND_PROMOTE, chosen, details, () => this.#makeLive(chosen, details, false))
  }

  async pin(version: number, details: OrderDetails): Promise<number> {
    const chosen = version || this.#live?.loaded.version || 0
    if (chosen === 0) throw refused(`lineage ${this.lineage} has no live version to pin`)
    return this.#ordered(ROLLOUT_ORDER_KIND_PIN, chosen, details, () => this.#makeLive(chosen, details, true))
  }

  async unpin(details: OrderDetails): Promise<number> {
    const pinned = this.#pinned
    if (pinned === 0) throw refused(`no version of lineage ${this.lineage} is pinned`)
    this.#options.reporter.order(this.lineage, ROLLOUT_ORDER_KIND_UNPIN, 0, details)
    this.#unpin(details)
    return pinned
  }

  async rollback(version: number, details: OrderDetails): Promise<{ version: number; liveVersion: number }> {
    const chosen = version || this.#live?.loaded.version || 0
    if (chosen === 0) throw refused(`lineage ${this.lineage} has no live version to roll back`)
    if (chosen === this.#pinned) throw refused(`version ${chosen} is pinned: unpin it first`)
    if (this.#retired.has(chosen)) throw refused(`version ${chosen} is off traffic already`)
    await this.#enqueue(() => this.#takeOff(chosen, details))
    return { version: chosen, liveVersion: this.#live?.loaded.version ?? 0 }
  }

  /** Resolves when nothing is being loaded any more. */
  async idle(): Promise<void> {
    for (let seen: unknown; seen !== this.#work;) {
      seen = this.#work
      await this.#work
    }
  }

  /** Retires everything and resolves when it is released: end the requests first. */
  async close(): Promise<void> {
    this.#stop.abort()
    clearInterval(this.#timer)
    clearTimeout(this.#bringAgain)
    await this.idle()
    this.#candidate?.trace?.end('stopped')
    const loaded = [this.#candidate?.loaded, this.#live?.loaded, this.#lastGood, ...this.#kept]
    this.#candidate = this.#live = this.#lastGood = undefined
    this.#kept = []
    for (const version of new Set(loaded)) if (version !== undefined) this.#retire(version)
    await Promise.all(this.#releases)
  }

  #standing(): Standing {
    const { lineage, settings, floor } = this.#options
    return {
      lineage,
      settings,
      live: this.#live,
      candidate: this.#candidate,
      lastGood: this.#lastGood,
      floor: floor(),
    }
  }

  #bringNext(): void {
    if (this.#bringing || this.#candidate !== undefined || this.#pinned > 0 || this.#newest === undefined) return
    this.#bringing = true
    const brought = this.#enqueue(async () => {
      this.#bringing = false
      const next = this.#newest
      this.#newest = undefined
      if (next === undefined || this.#pinned > 0 || this.#isOld(next.checkpoint.version)) return
      await this.#bring(next)
    })
    brought.catch((error: unknown) => this.#options.logger.error('draft not brought live', { error }))
  }

  /** From the announcement until it is in shadow. The trace is that of what the version was trained on. */
  async #bring({ checkpoint, arrivedMs, traceparent }: Announcement): Promise<void> {
    const { version } = checkpoint
    const trace = new RolloutTrace(this.lineage, version, traceparent)
    const details = { traceparent: trace.traceparent }
    try {
      const isNews = version !== this.#putOffVersion
      if (isNews) this.#say(version, ROLLOUT_STATE_ANNOUNCED, 'its files are being checked', details)
      const minVersion = (this.#live?.loaded.version ?? 0) + 1
      const { loaded, found } = await this.#loader.verified(
        checkpoint,
        minVersion,
        trace,
        () => this.#newest !== undefined || !isNews,
      )
      this.#say(version, ROLLOUT_STATE_VERIFIED, found, details)
      this.#candidate = { ...this.#newlyServed(loaded, 'shadow', arrivedMs), trace }
      trace.enter('shadow')
      this.#say(version, STATE_OF.shadow, 'compared on held-out windows and live traffic', details)
      await this.#compareWindows(this.#candidate)
      this.#decide()
    } catch (error) {
      trace.end(mayPass(error) ? 'put off' : 'rejected', error)
      if (this.#stop.signal.aborted) return
      if (mayPass(error)) this.#putOff({ checkpoint, arrivedMs, traceparent }, error)
      else this.#refuse(version, error, details)
    }
  }

  /**
   * A store that is away, slow or closed to us says nothing about the version: it is tried again, unless a newer one has
   * come by then. Orders are carried out meanwhile.
   */
  #putOff(announcement: Announcement, error: unknown): void {
    const { lineage, logger } = this.#options
    const { version } = announcement.checkpoint
    this.#putOffVersion = version
    logger.warn('draft put off: the checkpoint store cannot be read', { lineage, version, error })
    this.#newest ??= announcement
    this.#bringAgain ??= setTimeout(() => {
      this.#bringAgain = undefined
      this.#bringNext()
    }, BEGIN_AGAIN_MS).unref()
    if (this.#newest !== announcement) this.#bringNext()
  }

  async #compareWindows({ loaded, trial }: ServedVersion): Promise<void> {
    const incumbent = this.#live?.loaded ?? this.#options.floor()
    // A draft that reads more than a window holds cannot be judged on it beside one that does not.
    const comparable =
      incumbent === undefined || incumbent.identity.checkpoint?.kind === loaded.identity.checkpoint?.kind
    if (!comparable || trial === undefined) return
    const leases = [loaded, ...(incumbent === undefined ? [] : [incumbent])].map((draft) => draft.lease())
    try {
      const drafts = leases.map((lease) => lease.loaded.draft)
      for await (const { alphas, ...labels } of this.#options.windows.compare(
        drafts,
        WINDOW_POSITIONS,
        this.#stop.signal,
      )) {
        const [ours, theirs] = alphas
        for (const [i, alpha] of ours!.entries()) trial.observeWindowPair(alpha, theirs?.[i] ?? 0, labels)
      }
    } finally {
      for (const lease of leases) lease.release()
    }
  }

  /** Looks whether a step of the tested or the live version is over. */
  #decide(): void {
    const nowMs = this.#options.clock()
    const idle =
      nowMs - Math.max(this.#lastRequestMs, this.#candidate?.sinceMs ?? 0) >
      Math.min(IDLE_STAGE_MS, this.#options.settings.stageMs)
    // Without traffic a step ends early: as if its time had passed.
    const candidateMs = idle ? nowMs + this.#options.settings.stageMs : nowMs
    this.#decideOn(this.#candidate, candidateMs)
    // Which may be another one by now.
    this.#decideOn(this.#live, nowMs)
  }

  #decideOn(served: ServedVersion | undefined, nowMs: number): void {
    const move = served?.trial?.decide(nowMs)
    if (served !== undefined && move !== undefined) this.#move(served, move)
  }

  #move(served: ServedVersion, { to, reason, evidence }: Move): void {
    for (const found of evidence) served.evidence.set(found.comparison, wireEvidence(found))
    const decisive = evidence[0] === undefined ? undefined : wireEvidence(evidence[0])
    switch (to) {
      case 'canary':
        this.#candidate = this.#enter(served, 'canary', reason, decisive)
        break
      case 'live':
        this.#goLive(served, reason, { evidence: decisive })
        break
      case 'confirmed':
        this.#live = this.#enter(served, 'confirmed', reason, decisive)
        this.#recordLive(reason)
        break
      case 'rejected':
        this.#reject({ reason, orderedBy: '' }, decisive)
        break
      case 'rolled-back':
        this.#rollBack({ reason, orderedBy: '' }, decisive)
        break
    }
  }

  #enter(
    served: ServedVersion,
    phase: ServedPhase,
    reason: string,
    evidence: RolloutDetails['evidence'],
  ): ServedVersion {
    const nowMs = this.#options.clock()
    if (phase !== 'confirmed') served.trial?.begin(phase, nowMs)
    const otherVersion = (served === this.#candidate ? this.#live?.loaded : this.#lastGood)?.version ?? 0
    this.#say(served.loaded.version, STATE_OF[phase], reason, {
      evidence,
      otherVersion,
      traceparent: served.trace?.traceparent,
    })
    if (phase === 'canary') served.trace?.enter(phase)
    return { ...served, phase, sinceMs: nowMs }
  }

  /** New requests use it; the version before stays loaded beside it. */
  #goLive(served: ServedVersion, reason: string, details: RolloutDetails): void {
    const { onSwap, logger, clock } = this.#options
    const replaced = this.#live?.loaded
    const { loaded, arrivedMs, trace } = served
    const nowMs = clock()
    this.#displace(this.#lastGood === replaced ? undefined : this.#lastGood)
    this.#lastGood = replaced
    served.trial?.begin('live', nowMs)
    this.#live = { ...served, phase: 'live', sinceMs: nowMs, trace: undefined }
    if (this.#candidate?.loaded === loaded) this.#candidate = undefined
    const swapMs = nowMs - arrivedMs
    const newestWindowAtMs = loaded.identity.checkpoint?.newestWindowAtMs ?? 0
    onSwap(replaced === undefined ? undefined : { swapMs, newestWindowAtMs })
    if (replaced !== undefined) {
      const successor = `version ${loaded.version} took its place; it stays loaded while that is watched`
      this.#say(replaced.version, ROLLOUT_STATE_REPLACED, successor, { otherVersion: loaded.version })
    }
    const said = { ...details, swapMs, otherVersion: replaced?.version ?? 0, traceparent: trace?.traceparent }
    this.#say(loaded.version, ROLLOUT_STATE_LIVE, reason, said)
    trace?.swapped(nowMs, swapMs)
    // Until one is confirmed there is nothing better to begin with.
    if (replaced === undefined) this.#recordLive(reason)
    logger.info('draft swapped', {
      lineage: this.lineage,
      version: loaded.version,
      replaced: replaced?.version ?? 0,
      swapMs,
    })
    this.#testAgain()
    this.#bringNext()
  }

  #reject(order: OrderDetails, evidence?: RolloutDetails['evidence']): void {
    const candidate = this.#candidate
    if (candidate === undefined) return
    this.#candidate = undefined
    const { loaded, trace } = candidate
    trace?.end('rejected')
    const otherVersion = this.#live?.loaded.version ?? 0
    this.#out(loaded.version, ROLLOUT_STATE_REJECTED, order, {
      evidence,
      otherVersion,
      traceparent: trace?.traceparent,
    })
    this.#options.onRejected()
    this.#retire(loaded)
    this.#bringNext()
  }

  #rollBack(order: OrderDetails, evidence?: RolloutDetails['evidence']): void {
    const { onRolledBack, onSwap, reporter } = this.#options
    const live = this.#live
    if (live === undefined) return
    const back = this.#lastGood
    const nowMs = this.#options.clock()
    this.#lastGood = undefined
    this.#live = back === undefined ? undefined : { ...this.#newlyServed(back, 'confirmed', nowMs), trial: undefined }
    this.#out(live.loaded.version, ROLLOUT_STATE_ROLLED_BACK, order, { evidence, otherVersion: back?.version ?? 0 })
    onRolledBack()
    onSwap()
    this.#retire(live.loaded)
    if (back !== undefined) {
      const again = `version ${live.loaded.version} was rolled back`
      this.#say(back.version, ROLLOUT_STATE_LIVE, again, { otherVersion: live.loaded.version })
      reporter.order(this.lineage, ROLLOUT_ORDER_KIND_LIVE, back.version, {
        reason: again,
        orderedBy: '',
        checkpoint: back.identity.checkpoint,
      })
    }
    this.#testAgain()
    this.#bringNext()
  }

  /** What is tested was held against a version that is not live any more. */
  #testAgain(): void {
    const tested = this.#candidate
    if (tested === undefined) return
    const live = this.#live?.loaded.version ?? 0
    const reason = `version ${live}, which is newer, was made live meanwhile`
    if (tested.loaded.version < live) this.#reject({ reason, orderedBy: '' })
    else this.#candidate = { ...this.#newlyServed(tested.loaded, 'shadow', tested.arrivedMs), trace: tested.trace }
  }

  /** By order: whatever it is at present, it is off traffic afterwards. */
  async #takeOff(version: number, order: OrderDetails): Promise<void> {
    if (this.#retired.has(version) || version === this.#pinned) return
    if (version === this.#live?.loaded.version) return this.#rollBack(order)
    if (version === this.#candidate?.loaded.version) return this.#reject(order)
    this.#out(version, ROLLOUT_STATE_ROLLED_BACK, order, {})
    if (this.#lastGood?.version === version) {
      const gone = this.#lastGood
      this.#lastGood = undefined
      this.#retire(gone)
    }
    for (const kept of this.#kept) if (kept.version === version) this.#retire(kept)
    this.#kept = this.#kept.filter((kept) => kept.version !== version)
  }

  /** By order, or to begin with: no shadow and no canary, but all of the verification. */
  async #makeLive(version: number, order: OrderDetails, pin: boolean, ifStoreIsAway?: 'tried again'): Promise<void> {
    const { clock } = this.#options
    if (version === this.#live?.loaded.version) {
      if (!pin) return
      this.#setPin(version, order)
      this.#live = { ...this.#live, trial: undefined }
      return
    }
    const nowMs = clock()
    const isTested = version === this.#candidate?.loaded.version
    // By an operator's call, the trace of that call.
    const trace =
      (isTested ? this.#candidate?.trace : undefined) ?? new RolloutTrace(this.lineage, version, currentTraceparent())
    try {
      const known = [this.#candidate?.loaded, this.#lastGood, ...this.#kept].find(
        (loaded) => loaded?.version === version,
      )
      const loaded = known ?? (await this.#loader.fetched(version, trace))
      const served = { ...this.#newlyServed(loaded, 'live', nowMs), trace }
      if (pin) this.#setPin(version, order)
      this.#kept = this.#kept.filter((kept) => kept !== loaded)
      if (this.#lastGood === loaded) this.#lastGood = undefined
      if (this.#candidate !== undefined && this.#candidate.loaded !== loaded && pin) {
        this.#candidate.trace?.end('replaced')
        this.#retire(this.#candidate.loaded)
        this.#candidate = undefined
      }
      this.#retired.delete(version)
      this.#goLive(pin ? { ...served, trial: undefined } : served, order.reason, { orderedBy: order.orderedBy })
      if (pin) this.#recordLive(order.reason)
    } catch (error) {
      const isPutOff = ifStoreIsAway === 'tried again' && mayPass(error)
      trace.end(isPutOff ? 'put off' : 'rejected', error)
      if (!isPutOff) this.#refuse(version, error, { orderedBy: order.orderedBy })
      else this.#options.logger.warn('version to begin with cannot be read yet', { version, error })
      throw error
    }
  }

  #setPin(version: number, { reason, orderedBy }: OrderDetails): void {
    if (this.#pinned === version) return
    this.#pinned = version
    this.#say(version, ROLLOUT_STATE_PINNED, reason, { orderedBy })
  }

  #unpin({ reason, orderedBy }: OrderDetails): void {
    if (this.#pinned === 0) return
    const version = this.#pinned
    this.#pinned = 0
    this.#say(version, ROLLOUT_STATE_UNPINNED, reason, { orderedBy })
    this.#bringNext()
  }

  #newlyServed(loaded: LoadedDraft, phase: 'shadow' | 'live' | 'confirmed', arrivedMs: number): ServedVersion {
    const { settings, clock } = this.#options
    const incumbent = this.#live?.loaded ?? this.#options.floor()
    const trial = new VersionTrial(settings, incumbent?.version ?? 0)
    const sinceMs = clock()
    if (phase === 'shadow') trial.begin(phase, sinceMs)
    return { loaded, phase, sinceMs, arrivedMs, trial, trace: undefined, evidence: new Map() }
  }

  /** Replaced for good, unless some traffic does best with it. */
  #displace(loaded: LoadedDraft | undefined): void {
    if (loaded === undefined) return
    const replaced = [...this.#kept, loaded]
    const staying = this.#options.keep(replaced)
    this.#kept = replaced.filter((version) => staying.has(version))
    for (const version of replaced) if (!staying.has(version)) this.#retire(version)
  }

  #retire(loaded: LoadedDraft): void {
    this.#failures.delete(loaded)
    const release = loaded.retire()
    this.#releases.add(release)
    void release.finally(() => this.#releases.delete(release))
  }

  /** The version is out, here and on every other server, also after a restart; whose verdict it is tells the others. */
  #out(version: number, state: RolloutState, order: OrderDetails, details: RolloutDetails): void {
    const { reason, orderedBy, isFollowed = false } = order
    this.#retired.add(version)
    this.#say(version, state, reason, { ...details, orderedBy })
    if (!isFollowed) this.#options.reporter.order(this.lineage, ROLLOUT_ORDER_KIND_RETIRE, version, order)
    this.#options.logger.warn('draft off traffic', { lineage: this.lineage, version, reason })
  }

  /** It could not be loaded, or is not what it should be. Other servers find out for themselves. */
  #refuse(version: number, error: unknown, details: RolloutDetails): void {
    const { logger, onRejected } = this.#options
    if (!mayPass(error)) this.#retired.add(version)
    onRejected()
    const code = error instanceof PlateauError ? `${error.code}: ` : ''
    this.#say(version, ROLLOUT_STATE_REJECTED, `${code}${messageOf(error)}`, details)
    logger.error('draft refused', { lineage: this.lineage, version, live: this.#live?.loaded.version ?? 0, error })
    this.#bringNext()
  }

  #recordLive(reason: string): void {
    if (this.#live === undefined) return
    const { version, identity } = this.#live.loaded
    const details = { reason, orderedBy: '', checkpoint: identity.checkpoint }
    this.#options.reporter.order(this.lineage, ROLLOUT_ORDER_KIND_LIVE, version, details)
  }

  #say(version: number, state: RolloutState, reason: string, details: RolloutDetails): void {
    this.#options.reporter.report(this.lineage, version, state, reason, details)
  }

  #isOld(version: number): boolean {
    const newest = Math.max(this.#live?.loaded.version ?? 0, this.#candidate?.loaded.version ?? 0)
    return version <= newest || this.#retired.has(version)
  }

  async #ordered(
    kind: typeof ROLLOUT_ORDER_KIND_PIN | typeof ROLLOUT_ORDER_KIND_PROMOTE,
    version: number,
    details: OrderDetails,
    apply: () => Promise<void>,
  ): Promise<number> {
    await this.#enqueue(apply)
    const checkpoint = this.#loader.known(version)
    this.#options.reporter.order(this.lineage, kind, version, { ...details, checkpoint })
    return version
  }

  /** One thing after the other; a failure is its caller's, and does not hold up the next. */
  #enqueue(task: () => Promise<void>): Promise<void> {
    const done = this.#work.then(() => (this.#stop.signal.aborted ? undefined : task()))
    this.#work = done.catch(() => {})
    return done
  }
}

function refused(message: string): PlateauError {
  return new PlateauError('FAILED_PRECONDITION', message)
}

function mayPass(error: unknown): boolean {
  return error instanceof PlateauError && error.retryable
}
