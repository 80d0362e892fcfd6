import { seededRandom } from '@plateau/speculation'
import { KeepRuleBandit, type KeepRuleBanditState } from '@plateau/training'
import type { TrainerMetrics } from '../metrics.js'
import type { MeasuredGain, PolicySink } from '../policy/policy-parts.js'
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
    /** Begun so far. */
    readonly turns: number
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

const HALF_LIFE_TURNS = 100
/** Of turns, that an arm has at least. */
const LEAST_SHARE = 0.05
/**
 * Arms that were measured less often go first, in turn, and cannot win before: steps gain less and less by any rule, so
 * that single turns say more about when they were than about whose.
 */
const LEAST_TURNS = 3
/** Of the draws of arms. */
const SEED = 3
/** Odd, so that turns have different seeds. */
const SEED_STRIDE = 0x9e3779b1

/**
 * Which keep rule gradients learn most by: a bandit over turns. A turn is a number of steps on windows that one rule would
 * have kept; what it gained is the paired difference in alpha between the draft after it and the draft before it, both on
 * windows that neither has seen, per trained position. The rule in force is an arm like those under trial, and so is
 * chance: what the control arm kept, and what the trial of `random` would have kept.
 *
 * States: between turns, in a turn. A turn whose draft begins again, or whose arm has run out of windows while others have
 * enough, counts for nobody.
 */
export class RuleTrials {
  readonly #options: RuleTrialsOptions
  readonly #parts: RuleTrialsParts
  #bandit: KeepRuleBandit
  #turns: number
  #inForce: string
  #turn: RuleTurn | undefined
  readonly #tenants: Set<string>

  /** Says at once which rules are on trial, so that windows come with what they would have kept. */
  constructor(options: RuleTrialsOptions, parts: RuleTrialsParts, saved: RuleTrialsState | undefined) {
    this.#options = options
    this.#parts = parts
    const { turns = 0, inForce = RANDOM, tenants, bandit, turn } = saved?.facts ?? {}
    this.#turns = turns
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
    if (this.#turn !== undefined && !this.arms.includes(this.#turn.arm)) this.abandonTurn()
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
    if (gain === undefined) return
    this.#bandit.reward(turn.arm, gain)
    this.#show(turn.arm)
    this.#tell()
  }

  /** The closed form has moved the draft, by so much: that is no gain of steps. */
  moved(changes: Parameters): void {
    this.#turn?.moved(changes)
  }

  /** The draft is another one now. */
  abandonTurn(): void {
    this.#turn = undefined
  }

  /** As if no turn had been: what is known of the rules was learned with the tenant's windows, too. */
  forget(tenant: string): void {
    if (!this.#tenants.has(tenant)) return
    this.#tenants.clear()
    this.#turn = undefined
    this.#bandit = this.#banditOf(undefined)
    this.#tell()
  }

  /** The numbers are live: they are changed by `moved`. */
  get state(): RuleTrialsState {
    const turn = this.#turn
    return {
      facts: {
        bandit: this.#bandit.state,
        turns: this.#turns,
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
    const arms = this.arms
    const floorShare = Math.min(LEAST_SHARE, 1 / arms.length)
    return new KeepRuleBandit({ arms, baseline: RANDOM, halfLifeTurns: HALF_LIFE_TURNS, floorShare }, state)
  }

  #begin(left: ReadonlyMap<string, number>, before: () => Parameters): RuleTurn | undefined {
    const arms = this.arms.filter((arm) => left.has(arm))
    if (arms.length === 0) return undefined
    const random = seededRandom(SEED + Math.imul(this.#turns++, SEED_STRIDE))
    const unknown = arms.filter((arm) => !this.#isKnown(arm)).toSorted((a, b) => this.#count(a) - this.#count(b))
    const arm = unknown[0] ?? this.#bandit.choose(random, arms)
    return new RuleTurn({ arm, steps: 0, positions: 0 }, before())
  }

  /** How often it was measured, turns of long ago counting less. */
  #count(arm: string): number {
    return this.#bandit.value(arm).count
  }

  #isKnown(arm: string): boolean {
    return this.#count(arm) >= LEAST_TURNS
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
    const rule = best === RANDOM ? keepAll : this.#options.rules.find(({ arm }) => arm === best)?.rule
    this.#parts.policy.gradients({
      rule,
      trials: this.#options.rules.map((one) => one.rule),
      gain: this.#gainOver(best === RANDOM ? keepAll.strategy : best),
      evidence: evidenceOf(bandit, this.arms, best),
    })
  }

  /** Undefined before it was measured. */
  #gainOver(arm: string): MeasuredGain | undefined {
    if (!this.arms.includes(arm)) return undefined
    const { gain, standardError, count } = this.#bandit.overBaseline(arm)
    return Number.isFinite(standardError) ? { gain, standardError, count: Math.round(count) } : undefined
  }

  #show(rule: string): void {
    const { ruleTurns, ruleGain, ruleGainError } = this.#parts.metrics
    ruleTurns.add({ rule })
    for (const arm of this.arms) {
      const { gain, standardError } = this.#bandit.value(arm)
      if (!Number.isFinite(standardError)) continue
      ruleGain.set({ rule: arm }, gain)
      ruleGainError.set({ rule: arm }, standardError)
    }
  }
}

function copied(parameters: Parameters): Parameters {
  return new Map([...parameters].map(([name, data]) => [name, data.slice()]))
}
