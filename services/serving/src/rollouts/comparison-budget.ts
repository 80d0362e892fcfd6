/** Share of the tokens served that may be decoded for a comparison's sake: at twice the time, those beside them included, it is 3 %. */
const SHARE = 0.03
/** Tokens that are saved up at most, and at the start: what several trials take. */
const SAVED = 4096

/**
 * What comparing versions may cost where no proposal pays. A response that is compared there takes turns with the target for
 * the comparison's sake alone; plainly it would be faster. Every token that is served earns a share of one, which is saved
 * up: a version that comes after a quiet time has its evidence soon, and versions without end cost no more than the share.
 */
export class ComparisonBudget {
  #tokens = SAVED

  /** A watch leaves half of what is saved to the next trial: what nobody uses harms nobody. */
  allows(stage: 'trial' | 'watch'): boolean {
    return this.#tokens > (stage === 'trial' ? 0 : SAVED / 2)
  }

  served(tokens: number, isForComparison: boolean): void {
    this.#tokens = Math.min(SAVED, this.#tokens + tokens * (isForComparison ? SHARE - 1 : SHARE))
  }
}
