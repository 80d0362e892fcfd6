import {
  PromptLookup,
  type Draft,
  type DraftSession,
  type DraftStart,
  type LookupOffer,
  type Proposal,
  type ProposalSource,
  type Random,
  type ResponseRecord,
  type Sampling,
  type SpeculationController,
} from '@plateau/speculation'

export interface ProposerOptions {
  /** Undefined: only copies from the text are proposed. */
  readonly draft: Draft | undefined
  readonly controller: SpeculationController
  /** Of traffic: what the controller learns from this response it believes of others of its kind. */
  readonly kind: string
  /** Tokens that copies may reach back, a power of two; undefined: no copies. */
  readonly lookupTokens: number | undefined
  readonly random: Random
  /** Microseconds. */
  readonly clockUs: () => number
  /** The draft failed. */
  readonly onError: (error: unknown) => void
}

/** As many rounds as the target takes at once. */
const ALL = 64

export interface SourcedProposal extends Proposal {
  readonly source: ProposalSource
}

export const NOTHING: SourcedProposal = { source: 'none', tokens: [], q: [], rawQ: [] }

/** How a round went at the target. */
export interface RoundOutcome {
  readonly accepted: number
  /** Proposed tokens that the target decided about. */
  readonly judged: number
  readonly targetUs: number
  /** From packing the proposal until the verdict is taken up. */
  readonly exchangeUs: number
}

/**
 * Everything that is proposed in one response: by its draft, or copied from its text. Once the draft has failed it stays
 * silent: a draft can cost speed, never a response.
 */
export class Proposer {
  readonly #options: ProposerOptions
  readonly #record: ResponseRecord
  #session: DraftSession | undefined
  #lookup: PromptLookup | undefined
  #offer: LookupOffer | undefined
  #proposal: SourcedProposal = NOTHING
  #draftUs = 0
  /** The draft has seen all but the last round's tokens. If it has not, its next proposal takes longer than usual. */
  #caughtUp = false
  #caughtUpFirst = false

  constructor(options: ProposerOptions) {
    this.#options = options
    this.#record = options.controller.begin(options.kind)
  }

  open(start: DraftStart): void {
    const { draft, lookupTokens } = this.#options
    if (lookupTokens !== undefined) this.#lookup = new PromptLookup(start.tokens, lookupTokens)
    this.#guard(() => {
      this.#session = draft?.open(start)
    })
  }

  /** At most `room` tokens; as many as pay at present, from where they pay most. */
  async propose(room: number, sampling: Sampling): Promise<SourcedProposal> {
    const { controller } = this.#options
    this.#draftUs = 0
    this.#offer = this.#lookup?.offer(room)
    const copy = this.#offer && { matched: this.#offer.matched, available: this.#offer.tokens.length }
    const plan = controller.next(this.#record, copy)
    this.#proposal = NOTHING
    if (plan.source === 'lookup') this.#proposal = this.#copied(plan.count, sampling)
    else if (plan.source === 'draft') {
      this.#proposal = await this.#drafted(Math.min(plan.count, room), sampling)
      if (this.#proposal === NOTHING) this.#proposal = this.#copied(controller.copyCount(copy, this.#record), sampling)
    }
    return this.#proposal
  }

  /** What the draft took for the newest proposal; 0 when it made none. */
  get draftUs(): number {
    return this.#draftUs
  }

  /** After an empty proposal: how many more rounds may go without one. */
  plainRounds(): number {
    const { controller, draft } = this.#options
    if (draft !== undefined && this.#session === undefined) return this.#lookup === undefined ? ALL : 0
    return controller.plainRounds(this.#record, this.#lookup !== undefined)
  }

  /** The next round goes without a proposal. */
  pass(): void {
    this.#proposal = NOTHING
    this.#draftUs = 0
    this.#caughtUp = false
  }

  /** Tells the controller how the round went. `asked`: propose was called for it. */
  observe(outcome: RoundOutcome, asked: boolean): void {
    const { source, tokens } = this.#proposal
    this.#options.controller.observe(
      {
        ...outcome,
        proposed: tokens.length,
        source,
        copySought: asked && this.#lookup !== undefined,
        matched: this.#offer?.matched ?? 0,
        draftUs: this.#draftUs,
        draftCaughtUpFirst: this.#caughtUpFirst,
      },
      this.#record,
    )
  }

  adopt(tokens: readonly number[], features: Float32Array): void {
    this.#lookup?.append(tokens)
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

  async #drafted(count: number, sampling: Sampling): Promise<SourcedProposal> {
    const { clockUs, random, onError } = this.#options
    if (this.#session === undefined || count <= 0) return NOTHING
    this.#caughtUpFirst = !this.#caughtUp
    const startedUs = clockUs()
    try {
      const proposal = await this.#session.propose(count, sampling, random)
      this.#draftUs = clockUs() - startedUs
      this.#caughtUp = true
      return proposal.tokens.length === 0 ? NOTHING : { source: 'draft', ...proposal }
    } catch (error) {
      onError(error)
      this.close()
      return NOTHING
    }
  }

  /** Chosen, not drawn: q is the point mass on each token. Says nothing about the draft, so there is no raw q. */
  #copied(count: number, { temperature }: Sampling): SourcedProposal {
    this.#caughtUp = false
    const tokens = this.#offer?.tokens.slice(0, count) ?? []
    if (tokens.length === 0) return NOTHING
    const q = temperature === 0 ? [] : tokens.map((token) => ({ ids: [token], probs: [1] }))
    return { source: 'lookup', tokens, q, rawQ: [] }
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
