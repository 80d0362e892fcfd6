import type { FeatureHead } from '@plateau/causal-lm'
import { summarizeScores, type DraftRows, type DraftScores } from '@plateau/inference'
import { pairedGain } from '@plateau/training'
import type { Logger } from '@plateau/telemetry'
import type { DraftLine, VersionFacts } from './draft-line.js'
import type { HeadScorers } from './head-scorers.js'
import type { TrainerMetrics } from './metrics.js'
import { positionsOf } from './recent-windows.js'
import { worksNow } from './retry-later.js'

export interface ContestOptions {
  readonly minPublishMs: number
}

export interface ContestParts {
  readonly line: DraftLine
  readonly scorers: HeadScorers
  readonly metrics: TrainerMetrics
  readonly logger: Logger
  readonly clock: () => number
}

/** What training has. */
export interface Candidates {
  readonly closedForm: FeatureHead
  readonly gradients: FeatureHead | undefined
}

/** What a version says about the training behind it. */
export type TrainingFacts = Omit<VersionFacts, 'evaluation'>

export interface Outcome {
  /** Set when gradients have lost touch with the closed form, mostly because the traffic has shifted. */
  readonly astray: { readonly alpha: number; readonly closedFormAlpha: number } | undefined
  readonly isPublished: boolean
}

type DraftName = 'incumbent' | 'closed-form' | 'gradients'

interface Contender {
  readonly name: DraftName
  readonly head: FeatureHead
  readonly scores: DraftScores
  readonly alpha: number
  readonly greedyMatch: number
  readonly positions: number
  /** Alpha less what the layer costs. */
  readonly worth: number
}

const MIN_EVALUATION_POSITIONS = 96
/** A version must be better by this, and by one standard error. */
const MIN_GAIN = 0.003
/** A decoder layer makes a draft step about twice as long: it must earn that. */
const LAYER_GAIN = 0.01
/** How far below the closed form gradients may fall. */
const ASTRAY = 0.02

/** Compares what training has with what is live, on recent positions unseen by both, and publishes what is better. */
export class Contest {
  readonly #options: ContestOptions
  readonly #parts: ContestParts

  constructor(options: ContestOptions, parts: ContestParts) {
    this.#options = options
    this.#parts = parts
  }

  async hold(
    windows: readonly DraftRows[],
    candidates: Candidates,
    training: TrainingFacts,
    traceparent: string | undefined,
  ): Promise<Outcome> {
    const { line, metrics, clock } = this.#parts
    metrics.heldOutPositions.set({}, positionsOf(windows))
    if (positionsOf(windows) < MIN_EVALUATION_POSITIONS) return { astray: undefined, isPublished: false }
    const live = await this.#contender('incumbent', line.incumbent, windows)
    const closedForm = await this.#contender('closed-form', candidates.closedForm, windows)
    const gradients = candidates.gradients && (await this.#contender('gradients', candidates.gradients, windows))
    const best = gradients !== undefined && gradients.worth > closedForm.worth ? gradients : closedForm
    const isDue = clock() - line.publishedAtMs >= this.#options.minPublishMs
    return {
      astray: gradients && fallenBehind(gradients, closedForm),
      isPublished: isDue && isBetter(best, live, windows) && (await this.#publish(best, live, training, traceparent)),
    }
  }

  async #contender(name: DraftName, head: FeatureHead, windows: readonly DraftRows[]): Promise<Contender> {
    const scores = await this.#parts.scorers.score(head, windows)
    const { alpha, greedyMatch, positions } = summarizeScores(scores)
    this.#parts.metrics.alpha.set({ draft: name }, alpha)
    const worth = alpha - (head.config.layer === undefined ? 0 : LAYER_GAIN)
    return { name, head, scores, alpha, greedyMatch, positions, worth }
  }

  /** False when the store is full or away: the next contest may try again. */
  async #publish(
    best: Contender,
    live: Contender,
    training: TrainingFacts,
    traceparent: string | undefined,
  ): Promise<boolean> {
    const { line, metrics, logger } = this.#parts
    const { name, head, positions, alpha, greedyMatch } = best
    const facts = { ...training, evaluation: { positions, alpha, parentAlpha: live.alpha, greedyMatch } }
    if (!(await worksNow(logger, 'version not written', () => line.publish(head, facts, traceparent)))) return false
    metrics.publishes.add({ origin: name })
    metrics.version.set({}, line.version)
    metrics.alpha.set({ draft: 'incumbent' }, alpha)
    return true
  }
}

/** The publish rule. Windows, not positions, count as independent. */
function isBetter(best: Contender, live: Contender, windows: readonly DraftRows[]): boolean {
  const lengths = windows.map(({ length }) => length)
  const { gain, standardError } = pairedGain(best.scores.alpha, live.scores.alpha, lengths)
  const cost = best.worth - best.alpha - (live.worth - live.alpha)
  return gain + cost >= Math.max(MIN_GAIN, standardError)
}

function fallenBehind(gradients: Contender, closedForm: Contender): Outcome['astray'] {
  if (gradients.alpha > closedForm.alpha - ASTRAY) return undefined
  return { alpha: gradients.alpha, closedFormAlpha: closedForm.alpha }
}
