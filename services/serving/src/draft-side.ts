import type { DraftSession, DraftStart, Proposal, Random, ResponseRecord, Sampling } from '@plateau/speculation'
import type { DraftLease } from './draft-holder.js'

export interface DraftSideOptions {
  readonly random: Random
  /** Microseconds. */
  readonly clockUs: () => number
  readonly onError: (error: unknown) => void
}

/** As many rounds as the target takes at once. */
const ALL = 64

export const NOTHING: Proposal = { tokens: [], q: [], rawQ: [] }

/** How a round went at the target. */
export interface RoundOutcome {
  readonly accepted: number
  /** Proposed tokens that the target decided about. */
  readonly judged: number
  readonly targetUs: number
  /** From packing the proposal until the draft has taken up the verdict. */
  readonly exchangeUs: number
}

/**
 * A draft's part in one response. Once the draft has failed it stays silent: a draft can cost speed, never a response.
 */
export class DraftSide {
  readonly #lease: DraftLease
  readonly #options: DraftSideOptions
  readonly #record: ResponseRecord
  #session: DraftSession | undefined
  #proposed = 0
  #draftUs = 0
  /** The draft has seen all but the last round's tokens. If it has not, its next proposal takes longer than usual. */
  #caughtUp = false
  #caughtUpFirst = false

  constructor(lease: DraftLease, options: DraftSideOptions) {
    this.#lease = lease
    this.#options = options
    this.#record = lease.controller.begin()
  }

  open(start: DraftStart): void {
    this.#guard(() => {
      this.#session = this.#lease.draft.open(start)
    })
  }

  /** At most `room` tokens; as many as pay at present. */
  async propose(room: number, sampling: Sampling): Promise<Proposal> {
    const { clockUs, random, onError } = this.#options
    const wanted = this.#session === undefined ? 0 : Math.min(this.#lease.controller.next(this.#record), room)
    let proposal = NOTHING
    this.#caughtUpFirst = !this.#caughtUp
    if (wanted > 0) {
      const startedUs = clockUs()
      try {
        proposal = await this.#session!.propose(wanted, sampling, random)
        this.#draftUs = clockUs() - startedUs
      } catch (error) {
        onError(error)
        this.close()
      }
    }
    this.#proposed = proposal.tokens.length
    this.#caughtUp = this.#proposed > 0
    return proposal
  }

  /** After an empty proposal: how many more rounds may go without one. */
  plainRounds(): number {
    return this.#session === undefined ? ALL : this.#lease.controller.plainRounds(this.#record)
  }

  /** The next round goes without a proposal. */
  pass(): void {
    this.#proposed = 0
    this.#caughtUp = false
  }

  /** Tells the controller how the round went. */
  observe(outcome: RoundOutcome): void {
    const round = { proposed: this.#proposed, draftUs: this.#draftUs, draftCaughtUpFirst: this.#caughtUpFirst }
    this.#lease.controller.observe({ ...round, ...outcome }, this.#record)
  }

  adopt(tokens: readonly number[], features: Float32Array): void {
    this.#guard(() => this.#session?.adopt(tokens, features))
  }

  /** Idempotent. */
  close(): void {
    const session = this.#session
    this.#session = undefined
    try {
      session?.close()
    } catch (error) {
      this.#options.onError(error)
    }
  }

  #guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#options.onError(error)
      this.close()
    }
  }
}
