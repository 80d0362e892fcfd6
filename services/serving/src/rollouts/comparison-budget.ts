import type { ComparisonStage } from './paired-sessions.js'

/** Share of the tokens served that may be decoded for a comparison's sake: at twice the time, those beside them included, it is 3 %. */
const SHARE = 0.03
/** Tokens that are saved up at most, and at the start: what several trials take. */
const SAVED = 4096
/** Of those, what is left to whoever has more need of it: what nobody uses harms nobody. A confirmed version has what runs over. */
const LEFT: Readonly<Record<ComparisonStage, number>> = { trial: 0, watch: SAVED / 2, confirmed: (SAVED * 15) / 16 }

/**
 * What comparing versions may cost where no proposal pays. A response that is compared there takes turns with the target for
 * the comparison's sake alone; plainly it would be faster. Every token that is served earns a share of one, which is saved
 * up: a version that comes after a quiet time has its evidence soon, and versions without end cost no more than the share.
 */
export class ComparisonBudget {
  #tokens = SAVED

  allows(stage: ComparisonStage): boolean {
    return this.#tokens > LEFT[stage]
  }

  served(tokens: number, isForComparison: boolean): void {
    this.#tokens = Math.min(SAVED, this.#tokens + tokens * (isForComparison ? SHARE - 1 : SHARE))
  }
}
