/**
 * How many tokens to propose. Speculation pays when the tokens of a round outweigh its time:
 *
 *   E(g) = 1 + a1 + a1 a2 + ... + a1...ag        tokens of a round with g proposals (Leviathan et al. 2023, section 3)
 *   T(g) = g c + v(g + 1) + r                    its time: g draft steps, one target step over g + 1 positions, and
 *                                                r for messages and packing, with and without proposals apart
 *
 * with a_i the chance that proposal i holds once the ones before it did, c the time of a draft step, v(S) of a target
 * step over S positions, all measured as they happen (the latency model of TIDE, arXiv 2602.05145, with v(S) and a_i
 * measured instead of profiled and constant). The controller takes the g that maximises E / T; g = 0 is plain decoding.
 *
 * Off is never final: while off, a one-token proposal is tried every so often, rarely enough to cost under 3 %. While
 * on, a plain step is taken now and then, so that both sides of the comparison stay fresh.
 */
export interface SpeculationOptions {
  /** Most tokens to propose in a round, 0 or more. */
  readonly maxProposal: number
  /** Belief about a_1 before anything was judged. Default .6: high enough to try. */
  readonly initialAcceptance?: number
}

/** What happened in one round. Times without waiting for a turn: the same for both sides of the comparison. */
export interface SpeculationRound {
  readonly proposed: number
  readonly accepted: number
  /**
   * Proposed tokens that the target decided about. Default: the accepted ones and the one after them; fewer where the
   * response ended on an accepted token.
   */
  readonly judged?: number
  /** Time of the whole proposal; ignored when nothing was proposed. */
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
  /** Proposal length that pays best at present; 0 = speculation is off. */
  readonly proposal: number
  /** Estimated a_i by proposal position. */
  readonly acceptance: readonly number[]
  /** Acceptance of a single proposed token above which proposing one beats proposing none; undefined until measured. */
  readonly breakEvenAcceptance: number | undefined
  /** Estimated tokens per microsecond at `proposal` over those of plain decoding. */
  readonly speedup: number
}

/** Judged proposals that the estimate of a_1 looks back on (exponentially). Shorter while only probes come in. */
const MEMORY = 48
const PROBE_MEMORY = 12
/** Weight, in judged proposals, of the belief that position i does as well as position i - 1. */
const PRIOR_WEIGHT = 6
/** Gain that switches speculation on again; it goes off when the gain is gone. The gap keeps noise from toggling it. */
const ON_GAIN = 1.03
/** Share of the time that probes may cost. */
const PROBE_BUDGET = 0.02
const MIN_PROBE_INTERVAL = 24
const MAX_PROBE_INTERVAL = 1024
/** Rounds that go without asking, at most: a draft that has become good is noticed soon. */
const MAX_PLAIN_RUN = 16
/** While on: one plain step in this many rounds refreshes v(1). */
const BASELINE_INTERVAL = 96

/** Judged proposals of a response that count as much as all the traffic before it. */
const RESPONSE_PRIOR = 8

/** What one response has shown of itself: text that the draft does not know is noticed within the response. */
export interface ResponseRecord {
  readonly acceptance: readonly Mean[]
  /** Its own proposal length, and 0 = off. */
  proposal: number
}

/**
 * One per draft version; shared by all responses that use it. Costs and the belief about a new response are common; each
 * response adds its own acceptance. No clock and no randomness: it only counts.
 */
export class SpeculationController {
  readonly #maxProposal: number
  readonly #initialAcceptance: number
  readonly #acceptance: Mean[]
  readonly #draftStep = new Mean()
  readonly #targetStep: StepTimes
  readonly #overhead = { plain: new Least(), speculative: new Least() }
  #proposal: number
  #sinceProbe = 0
  #sinceBaseline = 0

  constructor({ maxProposal, initialAcceptance = 0.6 }: SpeculationOptions) {
    if (!Number.isInteger(maxProposal) || maxProposal < 0) throw new RangeError(`maxProposal is ${maxProposal}`)
    this.#maxProposal = maxProposal
    this.#initialAcceptance = initialAcceptance
    this.#acceptance = Array.from({ length: maxProposal }, () => new Mean())
    this.#targetStep = new StepTimes(maxProposal + 1)
    this.#proposal = maxProposal
  }

  /** For one response, to be handed to `next` and `observe`. */
  begin(): ResponseRecord {
    return { acceptance: Array.from({ length: this.#maxProposal }, () => new Mean()), proposal: this.#proposal }
  }

  /** How many tokens to propose in the next round. Without a response: what suits the traffic as a whole. */
  next(response?: ResponseRecord): number {
    if (this.#maxProposal === 0) return 0
    // Both sides must have been timed once before they can be compared.
    if (!this.#targetStep.timed(1)) return 0
    if (this.#draftStep.weight === 0) return Math.min(2, this.#maxProposal)
    const proposal = response?.proposal ?? this.#proposal
    if (proposal === 0) {
      if (++this.#sinceProbe < this.#probeInterval()) return 0
      this.#sinceProbe = 0
      return 1
    }
    if (++this.#sinceBaseline < BASELINE_INTERVAL) return proposal
    this.#sinceBaseline = 0
    return 0
  }

  /**
   * After `next` said 0: how many further rounds may go without a proposal before `next` has to be asked again. They
   * count as if it had been.
   */
  plainRounds(response?: ResponseRecord): number {
    if (this.#maxProposal > 0 && ((response?.proposal ?? this.#proposal) > 0 || !this.#measured())) return 0
    const rounds = this.#maxProposal === 0 ? MAX_PLAIN_RUN : this.#probeInterval() - this.#sinceProbe - 1
    const run = Math.min(MAX_PLAIN_RUN, Math.max(0, rounds))
    this.#sinceProbe += run
    return run
  }

  observe(round: SpeculationRound, response?: ResponseRecord): void {
    const { proposed, accepted, judged, draftUs, draftCaughtUpFirst = false, targetUs, exchangeUs = targetUs } = round
    if (!(accepted <= proposed) || proposed > this.#maxProposal) {
      throw new RangeError(`a round cannot have ${accepted} of ${proposed} accepted (at most ${this.#maxProposal})`)
    }
    this.#targetStep.observe(proposed + 1, targetUs)
    this.#overhead[proposed > 0 ? 'speculative' : 'plain'].observe(Math.max(0, exchangeUs - targetUs))
    if (proposed > 0) {
      const stepUs = draftUs / proposed
      if (!draftCaughtUpFirst || stepUs < this.#draftStep.value) this.#draftStep.observeTime(stepUs)
      const memory = this.#proposal === 0 ? PROBE_MEMORY : MEMORY
      // Positions that were not judged fade too, back to the belief that they do as well as the position before.
      for (let i = 0; i < this.#maxProposal; i++) {
        if (i < (judged ?? Math.min(accepted + 1, proposed))) {
          this.#acceptance[i]!.observe(i < accepted ? 1 : 0, memory)
          response?.acceptance[i]!.observe(i < accepted ? 1 : 0, MEMORY)
        } else if (i > 0) this.#acceptance[i]!.fade(MEMORY)
      }
    }
    if (!this.#measured()) return
    const proposal = this.#best(this.#acceptanceByPosition(), this.#proposal)
    if (proposal === 0 && this.#proposal > 0) this.#sinceProbe = 0
    this.#proposal = proposal
    if (response) response.proposal = this.#best(this.#acceptanceByPosition(response), response.proposal)
  }

  snapshot(): SpeculationSnapshot {
    const acceptance = this.#acceptanceByPosition()
    return {
      proposal: this.#proposal,
      acceptance,
      breakEvenAcceptance: this.#breakEven(),
      speedup: this.#measured() ? this.#rate(this.#proposal, acceptance) / this.#rate(0, acceptance) : 1,
    }
  }

  /** The proposal length that pays most, `now` being in use. */
  #best(acceptance: readonly number[], now: number): number {
    let best = 0
    let bestRate = this.#rate(0, acceptance) * (now === 0 ? ON_GAIN : 1)
    for (let proposal = 1; proposal <= this.#maxProposal; proposal++) {
      const rate = this.#rate(proposal, acceptance)
      if (rate > bestRate) [best, bestRate] = [proposal, rate]
    }
    return best
  }

  /** Tokens per microsecond with `proposal` tokens a round. */
  #rate(proposal: number, acceptance: readonly number[]): number {
    let tokens = 1
    let reached = 1
    for (let i = 0; i < proposal; i++) tokens += reached *= acceptance[i]!
    return tokens / this.#roundUs(proposal)
  }

  #roundUs(proposal: number): number {
    const { plain, speculative } = this.#overhead
    const overheadUs = (proposal > 0 ? speculative.value : undefined) ?? plain.value ?? 0
    return proposal * this.#draftStep.value + this.#targetStep.at(proposal + 1) + overheadUs
  }

  /** (1 + a) / T(1) = 1 / T(0), solved for a. */
  #breakEven(): number | undefined {
    if (!this.#measured() || this.#maxProposal === 0) return undefined
    return this.#roundUs(1) / this.#roundUs(0) - 1
  }

  /** Plain rounds between probes: a probe that yields nothing costs breakEven plain rounds. */
  #probeInterval(): number {
    const interval = Math.ceil(Math.max(0, this.#breakEven() ?? 0) / PROBE_BUDGET)
    return Math.min(MAX_PROBE_INTERVAL, Math.max(MIN_PROBE_INTERVAL, interval))
  }

  #measured(): boolean {
    return this.#targetStep.timed(1) && this.#draftStep.weight > 0
  }

  #acceptanceByPosition(response?: ResponseRecord): number[] {
    const acceptance: number[] = []
    for (const [i, observed] of this.#acceptance.entries()) {
      const before = acceptance.at(-1) ?? this.#initialAcceptance
      const common = observed.towards(before, PRIOR_WEIGHT)
      acceptance.push(response?.acceptance[i]!.towards(common, RESPONSE_PRIOR) ?? common)
    }
    return acceptance
  }
}

/** Time of a target step by number of positions: what was seen for that number, leaning on a line through all. */
class StepTimes {
  readonly #byPositions: Mean[]
  // Decayed sums of the line fit; x = positions - 1, y = microseconds.
  #n = 0
  #x = 0
  #xx = 0
  #y = 0
  #xy = 0

  constructor(maxPositions: number) {
    this.#byPositions = Array.from({ length: maxPositions }, () => new Mean())
  }

  timed(positions: number): boolean {
    return this.#byPositions[positions - 1]!.weight > 0
  }

  observe(positions: number, us: number): void {
    for (const mean of this.#byPositions) mean.fade(TIME_MEMORY * 8)
    const y = this.#byPositions[positions - 1]!.observeTime(us)
    const x = positions - 1
    const keep = 1 - 1 / (TIME_MEMORY * 8)
    this.#n = keep * this.#n + 1
    this.#x = keep * this.#x + x
    this.#xx = keep * this.#xx + x * x
    this.#y = keep * this.#y + y
    this.#xy = keep * this.#xy + x * y
  }

  at(positions: number): number {
    return this.#byPositions[positions - 1]!.towards(this.#line(positions - 1), 1)
  }

  #line(x: number): number {
    const meanX = this.#x / this.#n
    const meanY = this.#y / this.#n
    const spread = this.#xx / this.#n - meanX * meanX
    // Before two different numbers of positions were seen: a further position costs a seventh of a step.
    const slope = spread > 1e-6 ? (this.#xy / this.#n - meanX * meanY) / spread : meanY / (7 + meanX)
    return meanY + Math.max(0, slope) * (x - meanX)
  }
}

/** Steps that an estimate of a time looks back on. */
const TIME_MEMORY = 16
/** A step this many times slower than usual was disturbed (a pause, a page fault) and counts as this much. */
const OUTLIER = 3

/** Exponentially weighted mean that knows how much it has seen. */
class Mean {
  value = 0
  weight = 0

  observe(x: number, memory: number): void {
    this.fade(memory)
    this.weight += 1
    this.value += (x - this.value) / this.weight
  }

  /** Returns the time as it was counted. */
  observeTime(us: number): number {
    const counted = this.weight === 0 ? us : Math.min(us, OUTLIER * this.value)
    this.observe(counted, TIME_MEMORY)
    return counted
  }

  fade(memory: number): void {
    this.weight *= 1 - 1 / memory
  }

  towards(prior: number, priorWeight: number): number {
    return (this.weight * this.value + priorWeight * prior) / (this.weight + priorWeight)
  }
}

/** Numbers that may each hold a wait; fewer say nothing of the least. */
const LEAST_OF = 8

/** The least of recent numbers: each one that is not lower lets it rise by a hundredth. */
class Least {
  #value = Number.POSITIVE_INFINITY
  #count = 0

  observe(x: number): void {
    this.#value = Math.min(x, this.#value * 1.01 + 1e-3)
    this.#count++
  }

  get value(): number | undefined {
    return this.#count < LEAST_OF ? undefined : this.#value
  }
}
