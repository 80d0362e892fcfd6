import { withParameters, type FeatureHead } from '@plateau/causal-lm'
import {
  FeatureHeadScorer,
  summarizeScores,
  type DraftRows,
  type DraftScores,
  type DraftTarget,
} from '@plateau/inference'
import { fitLogitScale } from '@plateau/training'
import { positionsOf } from '../../recent-windows.js'

/** Scores count this many of a position's listed tokens. */
const SCORED_TOKENS = 64
const MIN_CALIBRATION_POSITIONS = 64

/** Scores heads on windows. A scorer is made for each shape of head when it is first needed, and lives until `release`. */
export class HeadScorers {
  readonly #target: DraftTarget
  readonly #threads: number
  /** By whether the head has a layer. */
  readonly #scorers = new Map<boolean, FeatureHeadScorer>()

  constructor(target: DraftTarget, threads: number) {
    this.#target = target
    this.#threads = threads
  }

  async score(head: FeatureHead, windows: readonly DraftRows[]): Promise<DraftScores> {
    const scorer = await this.#scorerOf(head)
    return scorer.score(head, windows)
  }

  /** The head with the logit scale at which it does best on `windows`; unchanged when they are too few. */
  async calibrated(head: FeatureHead, windows: readonly DraftRows[]): Promise<FeatureHead> {
    if (positionsOf(windows) < MIN_CALIBRATION_POSITIONS) return head
    const scorer = await this.#scorerOf(head)
    const scale = await fitLogitScale(async (c) => summarizeScores(await scorer.score(head, windows, c)).alpha)
    return withParameters(head, { logit_scale: Float32Array.of(scale) })
  }

  async release(): Promise<void> {
    for (const scorer of this.#scorers.values()) await scorer.release()
  }

  async #scorerOf({ config }: FeatureHead): Promise<FeatureHeadScorer> {
    const hasLayer = config.layer !== undefined
    const known = this.#scorers.get(hasLayer)
    if (known !== undefined) return known
    const options = { threads: this.#threads, listedTokens: SCORED_TOKENS }
    const scorer = await FeatureHeadScorer.create(config, this.#target, options)
    this.#scorers.set(hasLayer, scorer)
    return scorer
  }
}
