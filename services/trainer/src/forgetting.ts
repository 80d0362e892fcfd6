import type { Logger } from '@plateau/telemetry'
import type { Contest, TrainingFacts } from './contest.js'
import type { Effort } from './effort.js'
import type { ForgottenTenants } from './forgotten-tenants.js'
import type { VersionCause } from './draft-line.js'
import type { ComparedWindows, HeldBack } from './held-back.js'
import type { Learner } from './kinds/draft-kind.js'
import { RETRY_MS, worksNow } from './retry-later.js'
import type { AcceptedRecord } from './training-record.js'

export interface ForgettingParts<Model> {
  readonly tenants: ForgottenTenants
  readonly learner: Learner<Model>
  readonly heldBack: HeldBack
  readonly contest: Contest<Model>
  readonly effort: Effort
  readonly logger: Logger
  readonly clock: () => number
  /** What a version says about the training behind it, as it is now. */
  readonly about: () => {
    readonly windows: ComparedWindows
    readonly training: TrainingFacts
    readonly cause: VersionCause
  }
}

export interface Obeyed {
  /** Nobody is left to be forgotten: a version may be published. */
  readonly isClear: boolean
  /** There is something new to save. */
  readonly isChanged: boolean
  /** It should be saved at once. */
  readonly isPublished: boolean
}

/**
 * Obeys requests to forget a tenant. Asked before every version, so that none is published that knows more than it may.
 *
 *   asked ──▶ forgotten, version owed ──published──▶ nothing owed
 *
 * What is owed stands in the snapshot: it is published by whoever writes the lineage next.
 */
export class Forgetting<Model> {
  readonly #parts: ForgettingParts<Model>
  #owesVersion: boolean
  #nextMs = 0

  constructor(parts: ForgettingParts<Model>, owesVersion: boolean) {
    this.#parts = parts
    this.#owesVersion = owesVersion
  }

  /** A version without somebody is still to be published. */
  get owesVersion(): boolean {
    return this.#owesVersion
  }

  /** The log was not asked for a while. */
  get isDue(): boolean {
    return this.#parts.clock() >= this.#nextMs
  }

  async obey(): Promise<Obeyed> {
    const { tenants, logger, clock } = this.#parts
    this.#nextMs = clock() + RETRY_MS
    let asked: readonly string[] = []
    const read = async (): Promise<void> => void (asked = await tenants.read())
    const isTold = await worksNow(logger, 'not told whom to forget', read)
    for (const tenant of asked) await this.#forget(tenant)
    const isPublished = this.#owesVersion && (await this.#replaceLive())
    if (isPublished) this.#owesVersion = false
    return { isClear: isTold && !this.#owesVersion, isChanged: asked.length > 0 || isPublished, isPublished }
  }

  async #forget(tenant: string): Promise<void> {
    const { tenants, learner, heldBack, effort, logger, clock } = this.#parts
    const isForgotten = (window: AcceptedRecord): boolean => window.tenant === tenant && tenants.has(window)
    heldBack.drop(isForgotten)
    const calibration = heldBack.calibration(clock())
    const isOwed = await effort.spend('refresh', () => learner.forget({ tenant, isForgotten, calibration }))
    // Not who it was: tenants are no matter for logs.
    logger.info('tenant forgotten', { wasLearnedFrom: isOwed })
    this.#owesVersion ||= isOwed
  }

  async #replaceLive(): Promise<boolean> {
    const { learner, contest, effort, about } = this.#parts
    const foundations = await learner.foundations()
    const { windows, training, cause } = about()
    return effort.spend('contest', () => contest.replace(foundations, windows, training, cause))
  }
}
