import { summarizeScores, type DraftRows } from '@plateau/inference'
import { fitLogitScale } from '@plateau/training'
import type { SteppedDraft } from './draft-kind.js'

/** The last interval is some 15 % of a scale wide. */
const SCALES = { low: 0.55, high: 1.6, evaluations: 6 }

export interface CurveWindows {
  /** The logit scale is fitted here. */
  readonly calibration: readonly DraftRows[]
  readonly heldOut: readonly DraftRows[]
}

/** Calibrated alpha on the way: a rougher fit and fewer windows than the final figures have. */
export class CurveJudge<Model> {
  readonly #draft: Pick<SteppedDraft<Model>, 'score'>
  readonly #windows: CurveWindows

  constructor(draft: Pick<SteppedDraft<Model>, 'score'>, windows: CurveWindows) {
    this.#draft = draft
    this.#windows = windows
  }

  /** On held-out windows. */
  async alpha(model: Model): Promise<number> {
    return this.#alphaOn(this.#windows.heldOut, model, await this.scale(model))
  }

  /** On the windows that the scale was fitted on. */
  async calibrationAlpha(model: Model): Promise<number> {
    return this.#alphaOn(this.#windows.calibration, model, await this.scale(model))
  }

  scale(model: Model): Promise<number> {
    return fitLogitScale((scale) => this.#alphaOn(this.#windows.calibration, model, scale), SCALES)
  }

  async #alphaOn(windows: readonly DraftRows[], model: Model, scale: number): Promise<number> {
    return summarizeScores(await this.#draft.score(model, windows, scale)).alpha
  }
}
