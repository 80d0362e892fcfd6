import { seededRandom } from '@plateau/speculation'
import { KeepRuleBandit, type KeepRuleBanditState, type PairedGain } from '@plateau/training'
import type { TrainerMetrics } from '../metrics.js'
import type { MeasuredGain, PolicySink } from '../policy/policy-parts.js'
import { BesideChance, type BesideChanceState } from './beside-chance.js'
import { RANDOM } from './rule-arms.js'
import { RuleTurn, type Judge, type Parameters, type RuleTurnFacts } from './rule-turn.js'
import { evidenceOf } from './trial-evidence.js'
import { keepAll, type TrialRule } from './trial-rules.js'

export interface RuleTrialsOptions {
  readonly rules: readonly TrialRule[]
  /** Of a turn. */
  readonly steps: number
  /** Of a step: at most so many pieces. */
  readonly pieces: number
}

export interface RuleTrialsParts {
  readonly policy: Pick<PolicySink, 'gradients'>
  readonly metrics: Pick<TrainerMetrics, 'ruleTurns' | 'ruleGain' | 'ruleGainError'>
}

export interface RuleTrialsState {
  readonly facts: {
    readonly bandit: KeepRuleBanditState
    /** Turns whose worth is not known yet. */
    readonly open: BesideChanceState
    /** Begun so far. */
    readonly turns: number
    readonly turnsSinceChance: number
    /** Whose windows took part in what the bandit knows. */
    readonly tenants: readonly string[]
    readonly inForce: string
    readonly turn: RuleTurnFacts | undefined
  }
  /** What the turn began with. */
  readonly before: Parameters | undefined
}

/** What a step has used. */
interface TurnStep {
  /** That counted, in a step that was applied. */
  readonly positions: number
  readonly tenants: Iterable<string>
}

/** Of measurements, one for each arm in a round between two turns of chance. */
const HALF_LIFE = 100
/** Of turns: the others are by the rule in force, so that a harmful one can do little harm before it is known. */
const TRIAL_SHARE = 0.3
/** Of arms on trial those that were measured in fewer rounds go first, in turn; they cannot win before. */
const LEAST_ROUNDS = 3
/** Chance gains as much as chance; an error of 0 would prove nothing. */
const LIKE_CHANCE = { gain: 0, standardError: 1e-9 }
/** Every so many turns it is chance's: the others are compared with those around them. */
const TURNS_PER_CHANCE = 5
/** Of the draws of arms. */
const SEED = 3
/** Odd, so that turns have different seeds. */
const SEED_STRIDE = 0x9e3779b1

/**
 * Which keep rule gradients learn most by: a bandit over turns. A turn is a number of steps on windows that one rule would
 * have kept; what it gained is the paired difference in alpha between the draft after it and the draft before it, both on
 * windows that neither has seen, per trained position, less what turns of chance gained around it. Most turns are by the
 * rule in force. That is an arm like those under trial, and so is chance: what the control arm kept, and what the trial of
 * `random` would have kept.
 *
 * States: between turns, in a turn. A turn whose draft begins again, or whose arm has run out of windows while others have
 * enough, counts for nobody.
 */
export class RuleTrials {
  readonly #options: RuleTrialsOptions
  readonly #parts: RuleTrialsParts
  #bandit: KeepRuleBandit
  #beside: BesideChance
  #turns: number
  #turnsSinceChance: number
  #inForce: string
  #turn: RuleTurn | undefined
  readonly #tenants: Set<string>

  /** Says at once which rules are on trial, so that windows come with what they would have kept. */
  constructor(options: RuleTrialsOptions, parts: RuleTrialsParts, saved: RuleTrialsState | undefined) {
    this.#options = options
    this.#parts = parts
    const { turns = 0, turnsSinceChance = 0, inForce = RANDOM, open, tenants, bandit, turn } = saved?.facts ?? {}
    this.#turns = turns
    this.#turnsSinceChance = turnsSinceChance
    this.#beside = new BesideChance(open)
    this.#inForce = inForce
    this.#tenants = new Set(tenants)
    this.#bandit = this.#banditOf(bandit)
    const before = saved?.before
    if (turn !== undefined && before !== undefined && this.arms.includes(turn.arm)) {
      this.#turn = new RuleTurn(turn, copied(before))
    }
    this.#tell()
  }

  /** The rule by which windows are kept now: its arm. */
  rulesBy(arm: string): void {
    if (arm === this.#inForce) return
    this.#inForce = arm
    this.#bandit = this.#banditOf(this.#bandit.state)
    if (this.#turn !== undefined && !this.arms.includes(this.#turn.arm)) this.#turn = undefined
  }

  /**
   * Whose windows the next step takes; undefined: nobody's in particular. `left`: how often pieces of each arm can still be
   * used, of arms that have some. `before`: the draft's numbers, a copy.
   */
  next(left: ReadonlyMap<string, number>, before: () => Parameters): string | undefined {
    if (this.#turn !== undefined && this.#isStuck(this.#turn, left)) this.#turn = undefined
    this.#turn ??= this.#begin(left, before)
    return this.#turn?.arm
  }

  /** A step of the turn is done. `now`: the draft's numbers after it. */
  async stepped({ positions, tenants }: TurnStep, now: () => Parameters, judge: Judge): Promise<void> {
    const turn = this.#turn
    if (turn === undefined) return
    for (const tenant of tenants) this.#tenants.add(tenant)
    if (turn.stepped(positions) < this.#options.steps) return
    this.#turn = undefined
    const gain = await turn.gain(now(), judge)
    if (gain !== undefined) this.#measured(turn.arm, gain)
  }

  /** The closed form has moved the draft, by so much: that is no gain of steps. */
  moved(changes: Parameters): void {
    this.#turn?.moved(changes)
  }

  /** The draft is another one now: what its steps gain has nothing to do with what steps gained before. */
  beginAgain(): void {
    this.#turn = undefined
    this.#beside = new BesideChance()
  }

  /** As if no turn had been: what is known of the rules was learned with the tenant's windows, too. */
  forget(tenant: string): void {
    if (!this.#tenants.has(tenant)) return
    this.#tenants.clear()
    this.beginAgain()
    this.#bandit = this.#banditOf(undefined)
    this.#tell()
  }

  /** The numbers are live: they are changed by `moved`. */
  get state(): RuleTrialsState {
    const turn = this.#turn
    return {
      facts: {
        bandit: this.#bandit.state,
        open: this.#beside.state,
        turns: this.#turns,
        turnsSinceChance: this.#turnsSinceChance,
        tenants: [...this.#tenants],
        inForce: this.#inForce,
        turn: turn?.facts,
      },
      before: turn?.before,
    }
  }

  /** Rules that may be trained by: those under trial, and the one in force. */
  get arms(): string[] {
    return [...new Set([...this.#options.rules.map(({ arm }) => arm), this.#inForce])]
  }

  #banditOf(state: KeepRuleBanditState | undefined): KeepRuleBandit {
    const { arms } = this
    return new KeepRuleBandit({ arms, baseline: RANDOM, halfLifeTurns: HALF_LIFE, trialShare: TRIAL_SHARE }, state)
  }

  #begin(left: ReadonlyMap<string, number>, before: () => Parameters): RuleTurn | undefined {
    const arms = this.arms.filter((arm) => left.has(arm))
    if (arms.length === 0) return undefined
    const arm = this.#choose(arms, seededRandom(SEED + Math.imul(this.#turns++, SEED_STRIDE)))
    this.#turnsSinceChance = arm === RANDOM ? 0 : this.#turnsSinceChance + 1
    return new RuleTurn({ arm, steps: 0, positions: 0 }, before())
  }

  #choose(arms: readonly string[], random: () => number): string {
    if (arms.includes(RANDOM) && this.#turnsSinceChance >= TURNS_PER_CHANCE - 1) return RANDOM
    const standing = arms.includes(this.#inForce) ? this.#inForce : RANDOM
    const unknown = arms.filter((arm) => arm !== standing && !this.#isKnown(arm))
    const least = unknown.toSorted((a, b) => this.#count(a) - this.#count(b)).slice(0, 1)
    return this.#bandit.choose(random, least.length > 0 ? [standing, ...least] : arms, standing)
  }

  #measured(arm: string, gain: PairedGain): void {
    this.#parts.metrics.ruleTurns.add({ rule: arm })
    const rounds = this.#beside.add({ arm, at: this.#turns, ...gain })
    for (const round of rounds) if (this.arms.includes(round.arm)) this.#bandit.reward(round.arm, round)
    if (arm !== RANDOM) return
    this.#bandit.reward(RANDOM, LIKE_CHANCE)
    this.#show()
    this.#tell()
  }

  /** How often it was measured, turns of long ago counting less. */
  #count(arm: string): number {
    return this.#bandit.value(arm).count + this.#beside.waiting(arm)
  }

  #isKnown(arm: string): boolean {
    return this.#count(arm) >= LEAST_ROUNDS
  }

  /** Windows may never come again that this arm could use. */
  #isStuck({ arm }: RuleTurn, left: ReadonlyMap<string, number>): boolean {
    const whole = this.#options.steps * this.#options.pieces
    return !left.has(arm) && this.arms.some((other) => (left.get(other) ?? 0) >= whole)
  }

  /** What the policy should be. Until a rule has won everything is kept: gradients take what they have time for. */
  #tell(): void {
    const bandit = this.#bandit
    const best = this.#isKnown(RANDOM) && this.#isKnown(bandit.best()) ? bandit.best() : RANDOM
    const isAll = best === RANDOM || best === keepAll.strategy
    const rule = isAll ? keepAll : this.#options.rules.find(({ arm }) => arm === best)?.rule
    this.#parts.policy.gradients({
      rule,
      trials: this.#options.rules.map((one) => one.rule),
      gain: this.#gainOver(isAll ? keepAll.strategy : best),
      evidence: evidenceOf(bandit, this.arms, isAll ? RANDOM : best),
    })
  }

  /** Undefined before it was measured. */
  #gainOver(arm: string): MeasuredGain | undefined {
    if (!this.arms.includes(arm)) return undefined
    const { gain, standardError, count } = this.#bandit.overBaseline(arm)
    return Number.isFinite(standardError) ? { gain, standardError, count: Math.round(count) } : undefined
  }

  #show(): void {
    const { ruleGain, ruleGainError } = this.#parts.metrics
    for (const arm of this.arms) {
      const { gain, standardError } = this.#bandit.overBaseline(arm)
      if (arm === RANDOM || !Number.isFinite(standardError)) continue
      ruleGain.set({ rule: arm }, gain)
      ruleGainError.set({ rule: arm }, standardError)
    }
  }
}

function copied(parameters: Parameters): Parameters {
  return new Map([...parameters].map(([name, data]) => [name, data.slice()]))
}
