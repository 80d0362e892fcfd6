import type { ComparisonStage } from './paired-sessions.js'

/** Share of the tokens served that may be decoded for a comparison's sake: at twice the time, those beside them included, it is 3 %. */
const SHARE = 0.03
/** Tokens that are saved up at most, and at the start: for trials what several of them take, for watches some responses. */
const SAVED = { trial: 4096, watch: 256 }

/** Out of what was saved for what. */
export type Account = keyof typeof SAVED

/**
 * What comparing versions may cost where no proposal pays. A response that is compared there takes turns with the target for
 * the comparison's sake alone; plainly it would be faster. Every token that is served earns a share of one, half for trials
 * and half for watching what is live. It is saved up: a version that comes after a quiet time has its evidence soon, and
 * versions without end cost no more than the share. Watches save less, and the rest goes to trials: they have no hurry, what
 * nobody uses harms nobody.
 */
export class ComparisonBudget {
  readonly #tokens = { ...SAVED }

  /** What a response that is compared at this stage is decoded out of; undefined: there is nothing left. */
  account(stage: ComparisonStage): Account | undefined {
    // A new version is to be confirmed soon, if that leaves enough to the next trial.
    const isEnough = this.#tokens.trial > SAVED.trial / 2
    const account = stage === 'trial' || (stage === 'watch' && isEnough) ? 'trial' : 'watch'
    return this.#tokens[account] > 0 ? account : undefined
  }

  /** `account`: what the response is decoded out of; undefined: it is not decoded for a comparison. */
  served(tokens: number, account?: Account): void {
    if (account !== undefined) this.#tokens[account] -= tokens
    const earned = (tokens * SHARE) / 2
    const watch = this.#tokens.watch + earned
    const runsOver = Math.max(0, watch - SAVED.watch)
    this.#tokens.watch = watch - runsOver
    this.#tokens.trial = Math.min(SAVED.trial, this.#tokens.trial + earned + runsOver)
  }
}
