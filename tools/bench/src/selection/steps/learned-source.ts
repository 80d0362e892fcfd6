import type { DraftRows } from '@plateau/inference'
import { pairedGain, type KeepRuleBandit, type Piece } from '@plateau/training'
import type { PieceSource } from './piece-source.js'
import { randomOrder } from './random-order.js'
import { StepPieces, type StepShape, type WeightedRows } from './step-pieces.js'

export interface LearnedOptions<Model> {
  /** What each rule keeps, by the bandit's names. */
  readonly keptBy: ReadonlyMap<string, readonly WeightedRows[]>
  readonly bandit: Pick<KeepRuleBandit, 'choose' | 'reward'>
  /** Different positions that the arm may train on, all rules together. */
  readonly budget: number
  readonly reward: RewardJudge<Model>
  /** Uniform in [0, 1). */
  readonly random: () => number
}

/** Where a turn's gain is measured: on windows that nothing is trained or finally judged on. */
export interface RewardJudge<Model> {
  readonly windows: readonly DraftRows[]
  scale(model: Model): Promise<number>
  /** Alpha of every position of the windows. */
  alpha(model: Model, scale: number): Promise<ArrayLike<number>>
}

/** Steps on one rule's windows before the next is chosen. */
export const TURN_STEPS = 25
/** A turn is measured at one logit scale, before and after; it is fitted anew now and then. */
const TURNS_PER_FIT = 4

/**
 * Turns of steps on windows that one rule keeps. So that the arm has no more data than the others, the different positions
 * of all its turns together are bounded; and no less, new ones come at the pace of an arm in its first epoch, as many as
 * its steps have rows. After that, those of the rule come back that some turn has used. Were they held back for turns to
 * come, an arm that only ever keeps at random would lose to "random".
 */
export class LearnedSource<Model> implements PieceSource<Model> {
  readonly #options: LearnedOptions<Model>
  readonly #rowsPerStep: number
  readonly #cut: StepPieces
  readonly #orders: ReadonlyMap<string, { readonly windows: Generator<WeightedRows, never>; readonly count: number }>
  readonly #used = new Set<Int32Array>()
  #usedPositions = 0
  #released = 0
  #turns = 0
  #turn: { readonly rule: string; readonly scale: number; readonly before: ArrayLike<number> } | undefined
  #turnPositions = 0

  constructor(options: LearnedOptions<Model>, shape: StepShape) {
    this.#options = options
    this.#rowsPerStep = shape.rowsPerStep
    this.#cut = new StepPieces(shape)
    this.#orders = new Map(
      [...options.keptBy].map(([rule, kept]) => [
        rule,
        { windows: randomOrder(kept, options.random), count: kept.length },
      ]),
    )
  }

  keptPositions(): number {
    return this.#usedPositions
  }

  async before(step: number, draft: () => Model): Promise<void> {
    this.#released = (step + 1) * this.#rowsPerStep
    if (step % TURN_STEPS === 0) await this.#nextTurn(draft())
  }

  pieces(): Piece[] {
    const pieces = this.#cut.take(() => this.#next())
    this.#turnPositions += pieces.reduce((sum, { from, to }) => sum + to - from, 0)
    return pieces
  }

  async #nextTurn(draft: Model): Promise<void> {
    const { bandit, reward, random } = this.#options
    const last = this.#turn
    const after = last && (await reward.alpha(draft, last.scale))
    if (last && after) {
      const { gain, standardError } = pairedGain(
        after,
        last.before,
        reward.windows.map(({ length }) => length),
      )
      const positions = this.#turnPositions
      bandit.reward(last.rule, { gain: gain / positions, standardError: standardError / positions })
    }
    const isFitted = last && this.#turns++ % TURNS_PER_FIT !== 0
    const scale = isFitted ? last.scale : await reward.scale(draft)
    const before = isFitted && after ? after : await reward.alpha(draft, scale)
    this.#turn = { rule: bandit.choose(random), scale, before }
    this.#turnPositions = 0
    this.#cut.drop()
  }

  #next(): WeightedRows {
    const { windows, count } = this.#orders.get(this.#turn!.rule)!
    for (let tried = 1; ; tried++) {
      const window = windows.next().value
      // Arrays of tokens are the recording's own, whatever kept the window.
      const isUsed = this.#used.has(window.rows.tokens)
      const isReleased =
        this.#usedPositions < this.#released && this.#usedPositions + window.rows.length <= this.#options.budget
      // A rule whose first turn comes when everything is spent still needs something to train on.
      if (!isUsed && !isReleased && tried < 2 * count) continue
      if (!isUsed) this.#usedPositions += window.rows.length
      this.#used.add(window.rows.tokens)
      return window
    }
  }
}
