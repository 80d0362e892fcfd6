/**
 * How many tokens to propose, and whose. Speculation pays when the tokens of a round outweigh its time:
 *
 *   E(g) = 1 + a1 + a1 a2 + ... + a1...ag        tokens of a round with g proposals (Leviathan et al. 2023, section 3)
 *   T(g) = g c + s + v(g + 1) + r                its time: g draft steps, one target step over g + 1 positions, s lost to
 *                                                a draft that was asked in vain, and r for messages and packing, with and
 *                                                without proposals apart
 *
 * with a_i the chance that proposal i holds once the ones before it did, c the time of a draft step, v(S) of a target
 * step over S positions, all measured as they happen (the latency model of TIDE, arXiv 2602.05145, with v(S) and a_i
 * measured instead of profiled and constant). The controller takes the source and the g that maximise E / T: the draft; a
 * copy from the text (c = s = 0, and acceptance of its own); or nothing, which is plain decoding.
 *
 * Off is never final: while off, a one-token proposal is tried every so often, rarely enough to cost under 3 %. While
 * on, a round now and then goes to the number of positions that was timed least, so that v is known where it matters.
 */
import { DraftAcceptance } from './draft-acceptance.js'
import { LookupAcceptance } from './lookup-acceptance.js'
import { SHORTEST_MATCH } from './prompt-lookup.js'
import { RoundCosts } from './round-costs.js'
import { TrafficKinds, type TrafficKind } from './traffic-kinds.js'

export interface SpeculationOptions {
  /** Most tokens to propose in a round, 0 or more. */
  readonly maxProposal: number
  /** false: there is no draft, only copies from the text. Default true. */
  readonly hasDraft?: boolean
}

/** Where a round's proposal comes from: the draft, a copy from the text, or nowhere. */
export type ProposalSource = 'none' | 'draft' | 'lookup'

export interface RoundPlan {
  readonly source: ProposalSource
  /** Tokens to propose; 0 with "none". */
  readonly count: number
}

/** A copy that could be proposed: after how many agreeing tokens, and how many tokens it could have. */
export interface CopyAtHand {
  readonly matched: number
  readonly available: number
}

/** What happened in one round. Times without waiting for a turn: the same for both sides of the comparison. */
export interface SpeculationRound {
  readonly proposed: number
  readonly accepted: number
  /** Of what was proposed. Default "draft". */
  readonly source?: ProposalSource
  /** A copy was looked for; `matched`: the tokens that had agreed before the one proposed. */
  readonly copySought?: boolean
  readonly matched?: number
  /**
   * Proposed tokens that the target decided about. Default: the accepted ones and the one after them; fewer where the
   * response ended on an accepted token.
   */
  readonly judged?: number
  /** What the draft took, for its proposal or to find that it has none; 0 where it was not asked. */
  readonly draftUs: number
  /**
   * True when draftUs also holds work that a usual step does not have: catching up with a prompt, or with tokens of
   * rounds without a proposal. It then only says that a step takes no longer than that. Default false.
   */
  readonly draftCaughtUpFirst?: boolean
  /** Time of the target's step over proposed + 1 positions. */
  readonly targetUs: number
  /**
   * Time of the round without the draft as its caller saw it: messages, packing, the target's step, waiting. What it has
   * beyond targetUs is taken at its least, because the rest is waiting for other responses.
   */
  readonly exchangeUs?: number
}

export interface SpeculationSnapshot {
  /** Proposal length of the draft that pays best at present; 0 = the draft is off. */
  readonly proposal: number
  /** Estimated a_i of the draft by proposal position. */
  readonly acceptance: readonly number[]
  /** Acceptance of a single proposed token above which asking the draft for one pays; undefined until measured. */
  readonly breakEvenAcceptance: number | undefined
  /** Estimated tokens per microsecond at `proposal` over those of plain decoding. */
  readonly speedup: number
}

/** Belief about a_1 of the draft before anything was judged: high enough to try. */
const INITIAL_ACCEPTANCE = 0.6
/** Gain that switches the draft on again; it goes off when the gain is gone. The gap keeps noise from toggling it. */
const ON_GAIN = 1.03
/** Gain that a copy must promise. */
const COPY_GAIN = 1.01
/** Share of the time that probes may cost. */
const PROBE_BUDGET = 0.02
const MIN_PROBE_INTERVAL = 24
const MAX_PROBE_INTERVAL = 1024
/** Rounds that go without asking, at most: a draft that has become good is noticed soon. */
const MAX_PLAIN_RUN = 16
/** While on: one round in this many goes to the number of positions that was timed least; sooner while one never was. */
const LOOK_INTERVAL = { known: 96, unknown: 12 }

/** Of responses of a kind of traffic that nothing pays for, one in so many is tried all the same. */
const TRIED_RESPONSES = 10
/** Proposals of its own that must have been judged before a kind goes without. */
const LEAST_JUDGED = 8

const nothing: RoundPlan = { source: 'none', count: 0 }

/** What one response has shown of itself: text that the draft does not know is noticed within the response. */
export interface ResponseRecord {
  readonly kind: TrafficKind
  readonly acceptance: DraftAcceptance
  readonly copies: LookupAcceptance
  /** Its own proposal length, and 0 = off. */
  proposal: number
}

/**
 * One per draft version; shared by all responses that use it. Costs are common; acceptance is believed to be that of all
 * traffic, then of its kind, then what the response shows of itself. No clock and no randomness: it only counts.
 */
export class SpeculationController {
  readonly #maxProposal: number
  readonly #hasDraft: boolean
  readonly #costs: RoundCosts
  readonly #acceptance: DraftAcceptance
  readonly #copies = new LookupAcceptance()
  readonly #kinds: TrafficKinds
  #proposal: number
  #sinceProbe = 0
  #sinceLook = 0

  constructor({ maxProposal, hasDraft = true }: SpeculationOptions) {
    if (!Number.isInteger(maxProposal) || maxProposal < 0) throw new RangeError(`maxProposal is ${maxProposal}`)
    this.#maxProposal = maxProposal
    this.#hasDraft = hasDraft && maxProposal > 0
    this.#costs = new RoundCosts(maxProposal)
    this.#acceptance = new DraftAcceptance(maxProposal, INITIAL_ACCEPTANCE)
    this.#kinds = new TrafficKinds(maxProposal)
    this.#proposal = this.#hasDraft ? maxProposal : 0
  }

  /** For one response of a kind of traffic, to be handed to the other methods. */
  begin(kind = ''): ResponseRecord {
    const record = this.#kinds.of(kind)
    const proposal = this.#measured ? this.#best(this.#acceptance.estimate(record.acceptance), 0) : this.#proposal
    const acceptance = new DraftAcceptance(this.#maxProposal, 0)
    return { kind: record, acceptance, copies: new LookupAcceptance(), proposal }
  }

  /**
   * Whether a response of this kind should be decoded with proposals at all. Where neither the draft nor copies pay it is
   * faster without taking turns; now and then one is tried all the same, so that a draft that has become good is noticed.
   * With `seeksCopies` a copy may turn up.
   */
  pays(kind = '', seeksCopies = false): boolean {
    const record = this.#kinds.of(kind)
    if (!this.#costs.plainTimed || (seeksCopies && this.#copiesPay(record)) || this.#draftMayPay(record)) {
      record.declined = 0
      return true
    }
    record.declined = (record.declined + 1) % TRIED_RESPONSES
    return record.declined === 0
  }

  #draftMayPay({ acceptance }: TrafficKind): boolean {
    if (!this.#hasDraft) return false
    if (!this.#measured || acceptance.weight < LEAST_JUDGED) return true
    return this.#best(this.#acceptance.estimate(acceptance), 0) > 0
  }

  #copiesPay({ copies }: TrafficKind): boolean {
    return this.#maxProposal > 0 && copies.yieldPerRound() > this.#costs.turnShare
  }

  /** What to propose in the next round. Without a response: what suits the traffic as a whole. */
  next(response?: ResponseRecord, copy?: CopyAtHand): RoundPlan {
    // Both sides must have been timed once before they can be compared.
    if (!this.#costs.plainTimed) return nothing
    const copied = this.copyCount(copy, response)
    const proposal = response?.proposal ?? this.#proposal
    if (copied > 0 && (!this.#measured || this.#copyRate(copied, copy!, response) > this.#rate(proposal, response))) {
      return { source: 'lookup', count: copied }
    }
    const count = this.#hasDraft ? this.#nextOfDraft(proposal) : 0
    return count > 0 ? { source: 'draft', count } : nothing
  }

  /** How many tokens of a copy pay, against a plain round; 0 where none does, or there is no copy. */
  copyCount(copy: CopyAtHand | undefined, response?: ResponseRecord): number {
    if (copy === undefined || !this.#costs.plainTimed) return 0
    let best = 0
    let bestRate = COPY_GAIN / this.#costs.roundUs(0)
    for (let count = 1; count <= Math.min(copy.available, this.#maxProposal); count++) {
      const rate = this.#copyRate(count, copy, response)
      if (rate > bestRate) [best, bestRate] = [count, rate]
    }
    return best
  }

  /**
   * After `next` planned nothing: how many further rounds may go without a proposal before it has to be asked again. They
   * count as if it had been. With `seeksCopies` a copy may turn up after any token: taking turns for it must pay.
   */
  plainRounds(response?: ResponseRecord, seeksCopies = false): number {
    if (!this.#costs.plainTimed && this.#maxProposal > 0) return 0
    if (this.#hasDraft && ((response?.proposal ?? this.#proposal) > 0 || !this.#measured)) return 0
    if (seeksCopies && this.#copies.yieldPerRound(response?.copies) > this.#costs.turnShare) return 0
    const rounds = this.#hasDraft ? this.#probeInterval() - this.#sinceProbe - 1 : MAX_PLAIN_RUN
    const run = Math.min(MAX_PLAIN_RUN, Math.max(0, rounds))
    this.#sinceProbe += run
    return run
  }

  observe(round: SpeculationRound, response?: ResponseRecord): void {
    const { proposed, accepted, source = 'draft', matched = SHORTEST_MATCH, copySought = false } = round
    if (!(accepted <= proposed) || proposed > this.#maxProposal) {
      throw new RangeError(`a round cannot have ${accepted} of ${proposed} accepted (at most ${this.#maxProposal})`)
    }
    this.#costs.observe(round)
    const judged = round.judged ?? Math.min(accepted + 1, proposed)
    const copied = source === 'lookup' && proposed > 0
    for (const copies of [this.#copies, response?.kind.copies, response?.copies]) {
      if (copied) copies?.observe(matched, accepted, judged)
      if (copySought) copies?.sought(copied ? accepted : 0)
    }
    if (!copied && proposed > 0) {
      this.#acceptance.observe(accepted, judged, this.#proposal === 0)
      response?.kind.acceptance.observeWithin(accepted, judged)
      response?.acceptance.observeWithin(accepted, judged)
    }
    if (this.#measured) this.#choose(response)
  }

  /** What a round of a probe took: it says nothing about how much of the traffic's text is accepted. */
  observeCosts(round: SpeculationRound): void {
    this.#costs.observe(round)
  }

  snapshot(): SpeculationSnapshot {
    return {
      proposal: this.#proposal,
      acceptance: this.#acceptance.estimate(),
      breakEvenAcceptance: this.#breakEven(),
      speedup: this.#measured ? this.#rate(this.#proposal) * this.#costs.roundUs(0) : 1,
    }
  }

  /** Of the draft. */
  #choose(response: ResponseRecord | undefined): void {
    const proposal = this.#best(this.#acceptance.estimate(), this.#proposal)
    if (proposal === 0 && this.#proposal > 0) this.#sinceProbe = 0
    this.#proposal = proposal
    if (response) response.proposal = this.#best(this.#estimate(response), response.proposal)
  }

  #nextOfDraft(proposal: number): number {
    if (!this.#costs.draftTimed) return Math.min(2, this.#maxProposal)
    if (proposal === 0) {
      if (++this.#sinceProbe < this.#probeInterval()) return 0
      this.#sinceProbe = 0
      return 1
    }
    const least = this.#costs.leastSeen(Math.min(this.#maxProposal, 2 * proposal + 1))
    if (++this.#sinceLook < LOOK_INTERVAL[least.weight < 1 ? 'unknown' : 'known']) return proposal
    this.#sinceLook = 0
    return least.proposal
  }

  /** The proposal length of the draft that pays most, `now` being in use. */
  #best(acceptance: readonly number[], now: number): number {
    let best = 0
    let bestRate = (now === 0 ? ON_GAIN : 1) / this.#costs.roundUs(0)
    let tokens = 1
    let reached = 1
    for (let proposal = 1; proposal <= this.#maxProposal; proposal++) {
      tokens += reached *= acceptance[proposal - 1]!
      const rate = tokens / this.#costs.draftedUs(proposal)
      if (rate > bestRate) [best, bestRate] = [proposal, rate]
    }
    return best
  }

  /** Tokens per microsecond with `proposal` tokens of the draft a round. */
  #rate(proposal: number, response?: ResponseRecord): number {
    const acceptance = this.#estimate(response)
    return expectedTokens(proposal, (i) => acceptance[i]!) / this.#costs.draftedUs(proposal)
  }

  #estimate(response: ResponseRecord | undefined): number[] {
    return this.#acceptance.estimate(response?.kind.acceptance, response?.acceptance)
  }

  #copyRate(count: number, { matched }: CopyAtHand, response?: ResponseRecord): number {
    const tokens = expectedTokens(count, (i) => this.#copies.at(matched, i, response?.copies))
    return tokens / this.#costs.roundUs(count)
  }

  /** (1 + a) / T(1) = 1 / T(0), solved for a. */
  #breakEven(): number | undefined {
    if (!this.#measured) return undefined
    return this.#costs.draftedUs(1) / this.#costs.roundUs(0) - 1
  }

  /** Plain rounds between probes: a probe that yields nothing costs breakEven plain rounds. */
  #probeInterval(): number {
    const interval = Math.ceil(Math.max(0, this.#breakEven() ?? 0) / PROBE_BUDGET)
    return Math.min(MAX_PROBE_INTERVAL, Math.max(MIN_PROBE_INTERVAL, interval))
  }

  get #measured(): boolean {
    return this.#hasDraft && this.#costs.plainTimed && this.#costs.draftTimed
  }
}

function expectedTokens(count: number, acceptance: (position: number) => number): number {
  let tokens = 1
  let reached = 1
  for (let i = 0; i < count; i++) tokens += reached *= acceptance(i)
  return tokens
}
