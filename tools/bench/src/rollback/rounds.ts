/** One version after the other against the good one, on a cluster that stays up and under load. */
import type { PromptSet } from '@plateau/demo'
import { BenchError, progress } from '../bench-error.js'
import type { DraftPublisher, PublishedDraft } from '../live/draft-publisher.js'
import { RolloutState, type RolloutHistory } from '../live/rollout-history.js'
import type { SteadyLoad } from '../live/steady-load.js'
import type { StreamedCompletion } from '../live/streamed-completion.js'
import { placeOf, type Outcome } from './outcome.js'

export interface RoundsOptions {
  readonly history: RolloutHistory
  readonly publisher: DraftPublisher
  readonly load: SteadyLoad
  /** All so far; grows. */
  readonly completions: readonly StreamedCompletion[]
  readonly good: PublishedDraft
  /** A version that is neither stopped nor confirmed after so long is given up on. */
  readonly patienceMs: number
}

export const turns = ['live', 'confirmed'] as const
/** What a version is when its traffic turns. */
export type Turn = (typeof turns)[number]

/** How a copy of the live version fared. */
export interface CopyOutcome {
  readonly version: number
  readonly end: 'confirmed' | 'rejected' | 'rolled back' | 'undecided'
  /** From its announcement; undefined where it did not get there. */
  readonly liveSeconds: number | undefined
  readonly confirmedSeconds: number | undefined
  readonly reason: string
}

const {
  ROLLOUT_STATE_ANNOUNCED: ANNOUNCED,
  ROLLOUT_STATE_LIVE: LIVE,
  ROLLOUT_STATE_CONFIRMED: CONFIRMED,
  ROLLOUT_STATE_REJECTED: REJECTED,
  ROLLOUT_STATE_ROLLED_BACK: ROLLED_BACK,
} = RolloutState
const OUT = [REJECTED, ROLLED_BACK]

export class Rounds {
  /** The version of the good draft that should be live. */
  #goodVersion: number

  constructor(private readonly options: RoundsOptions) {
    this.#goodVersion = options.history.live
  }

  /** Publishes a bad draft and waits until it is off traffic. */
  async bad(draft: PublishedDraft): Promise<Outcome> {
    const { history, publisher, patienceMs } = this.options
    await this.#goodIsLive()
    const fromMs = performance.now()
    const version = await publisher.publish(draft)
    const out = await history.reached(version, OUT, patienceMs)
    return this.#outcome(version, fromMs, out)
  }

  /**
   * Publishes a draft that is good at `before`, waits until it is live or even confirmed on that, turns the traffic to `after`,
   * at which it is bad, and waits until it is off traffic. Only what it serves after the turn counts. Undefined: it was never
   * as far.
   */
  async turned(
    draft: PublishedDraft,
    when: Turn,
    before: readonly PromptSet[],
    after: readonly PromptSet[],
  ): Promise<Outcome | undefined> {
    const { history, publisher, patienceMs, load } = this.options
    // Where the draft is better the good one would not come back.
    load.switchTo(after)
    await this.#goodIsLive()
    load.switchTo(before)
    const version = await publisher.publish(draft)
    const turnsAt = when === 'live' ? LIVE : CONFIRMED
    const first = await history.reached(version, [turnsAt, ...OUT], patienceMs)
    if (first?.state !== turnsAt) {
      progress(`  version ${version} was not ${when}: ${first?.reason ?? 'undecided'}`)
      return undefined
    }
    const turnMs = performance.now()
    load.switchTo(after)
    const out = await history.reached(version, OUT, patienceMs)
    return this.#outcome(version, turnMs, out)
  }

  /** Publishes the very weights that are live. */
  async copy(): Promise<CopyOutcome> {
    const { history, publisher, good, patienceMs } = this.options
    const version = await publisher.publish(good)
    const end = await history.reached(version, [CONFIRMED, ...OUT], patienceMs)
    const isLive = history.of(version).some(({ state }) => state === LIVE)
    if (isLive && end?.state !== ROLLED_BACK) this.#goodVersion = version
    return copyOutcome(version, history, end?.state, end?.reason ?? 'undecided')
  }

  async #outcome(
    version: number,
    fromMs: number,
    out: Awaited<ReturnType<RolloutHistory['reached']>>,
  ): Promise<Outcome> {
    const { history, load, completions } = this.options
    const seconds = (performance.now() - fromMs) / 1000
    // What it began it finishes.
    await load.drained()
    const served = completions.filter(
      ({ draftVersion, startedMs }) => draftVersion === String(version) && startedMs >= fromMs,
    )
    return {
      version,
      place: placeOf(history.of(version), out),
      requests: served.length,
      seconds,
      difference: out?.evidence?.difference,
      comparison: out?.evidence?.comparison,
      reason: out?.reason ?? 'it was given up on',
    }
  }

  /** Before every round: otherwise a bad one that stayed would be what the next is held against. */
  async #goodIsLive(): Promise<void> {
    const { history, publisher, good, patienceMs } = this.options
    for (let tries = 0; history.live !== this.#goodVersion; tries++) {
      if (tries === 3) throw new BenchError(`the good draft did not get live again, version ${history.live} is`)
      this.#goodVersion = await publisher.publish(good)
      await history.reached(this.#goodVersion, [LIVE, ...OUT], patienceMs)
    }
  }
}

function copyOutcome(
  version: number,
  history: RolloutHistory,
  state: RolloutState | undefined,
  reason: string,
): CopyOutcome {
  const records = history.of(version)
  const at = (wanted: RolloutState): number | undefined => records.find((one) => one.state === wanted)?.atMs
  const announcedMs = at(ANNOUNCED)
  const after = (wanted: RolloutState): number | undefined => {
    const reachedMs = at(wanted)
    return announcedMs === undefined || reachedMs === undefined ? undefined : (reachedMs - announcedMs) / 1000
  }
  const ends = new Map([
    [CONFIRMED, 'confirmed'],
    [REJECTED, 'rejected'],
    [ROLLED_BACK, 'rolled back'],
  ] as const)
  const end = ends.get(state as typeof CONFIRMED) ?? 'undecided'
  return { version, end, liveSeconds: after(LIVE), confirmedSeconds: after(CONFIRMED), reason }
}
