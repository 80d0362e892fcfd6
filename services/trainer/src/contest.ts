import { PlateauError } from '@plateau/contracts'
import { summarizeScores, type DraftRows, type DraftScores } from '@plateau/inference'
import { pairedGain } from '@plateau/training'
import type { Logger } from '@plateau/telemetry'
import type { DraftLine, VersionCause, VersionFacts } from './draft-line.js'
import { LEAST_COMPARED_POSITIONS, type ComparedWindows } from './held-back.js'
import { asPublished, type Candidate, type DraftKind, type LearnedModel, type Learner } from './kinds/draft-kind.js'
import type { LearnedFrom } from './kinds/learned-from.js'
import type { TrainerMetrics } from './metrics.js'
import { positionsOf } from './recent-windows.js'
import { worksNow } from './retry-later.js'

export interface ContestOptions {
  readonly minPublishMs: number
}

export interface ContestParts<Model> {
  readonly line: Pick<DraftLine<Model>, 'rivals' | 'publish' | 'publishedAtMs' | 'version'>
  readonly kind: Pick<DraftKind<Model>, 'encode' | 'decode' | 'costOf'>
  readonly learner: Pick<Learner<Model>, 'candidates' | 'judged' | 'score'>
  readonly metrics: Pick<TrainerMetrics, 'alpha' | 'heldOutPositions' | 'publishes' | 'version'>
  readonly logger: Logger
  readonly clock: () => number
}

/** What a version says about the training behind it. */
export type TrainingFacts = Omit<VersionFacts, 'evaluation' | keyof LearnedFrom>

interface Scored<Model> {
  readonly model: Model
  readonly scores: DraftScores
  readonly alpha: number
  readonly greedyMatch: number
  readonly positions: number
  /** Alpha less what the model costs to draft with. */
  readonly worth: number
}

interface Contender<Model> extends Candidate<Model>, Scored<Model> {}

const INCUMBENT = 'incumbent'
const REFUSED = 'refused'
/** A version must be better by this, and by one standard error. */
const MIN_GAIN = 0.003

/** Compares what training has with what is live or about to be (see DraftLine.rivals), on recent positions unseen by both, and publishes what is better. */
export class Contest<Model> {
  readonly #options: ContestOptions
  readonly #parts: ContestParts<Model>

  constructor(options: ContestOptions, parts: ContestParts<Model>) {
    this.#options = options
    this.#parts = parts
  }

  /** True when a version was published. */
  async hold(
    { unseen: windows, calibration }: ComparedWindows,
    training: TrainingFacts,
    cause: VersionCause,
  ): Promise<boolean> {
    const { line, learner, metrics, clock } = this.#parts
    const candidates = await learner.candidates(calibration)
    metrics.heldOutPositions.set({}, positionsOf(windows))
    if (candidates.length === 0 || positionsOf(windows) < LEAST_COMPARED_POSITIONS) return false
    const rivals: Scored<Model>[] = []
    for (const [i, { model }] of (await line.rivals()).entries()) {
      rivals.push(await this.#scored(i === 0 ? INCUMBENT : REFUSED, model, windows))
    }
    const contenders: Contender<Model>[] = []
    for (const candidate of this.#published(candidates)) contenders.push(await this.#contender(candidate, windows))
    if (contenders.length === 0) return false
    const best = bestOf(contenders)
    learner.judged(new Map(contenders.map(({ name, alpha }) => [name, alpha])))
    const isDue = clock() - line.publishedAtMs >= this.#options.minPublishMs
    if (!isDue || !rivals.every((rival) => isBetter(best, rival, windows))) return false
    return this.#publish(best, rivals[0]!, training, cause)
  }

  /** As they would be read from the store: what rounding costs them is judged, too. */
  #published(candidates: readonly Candidate<Model>[]): Candidate<Model>[] {
    const { kind, logger } = this.#parts
    return candidates.flatMap((candidate) => {
      try {
        return [{ ...candidate, model: asPublished(kind, candidate.model) }]
      } catch (error) {
        if (!(error instanceof PlateauError)) throw error
        logger.warn('draft cannot be stored', { draft: candidate.name, error })
        return []
      }
    })
  }

  /**
   * Publishes the best of the models in place of what is live, whatever that is worth; the first where nothing tells. False:
   * the next try may work.
   */
  async replace(
    models: readonly LearnedModel<Model>[],
    { unseen }: ComparedWindows,
    training: TrainingFacts,
    cause: VersionCause,
  ): Promise<boolean> {
    const { line } = this.#parts
    const [{ model }] = await line.rivals()
    const live = await this.#scored(INCUMBENT, model, unseen)
    const others = this.#published(models.map((one) => ({ ...one, name: 'foundation' })))
    const contenders: Contender<Model>[] = []
    for (const other of others) contenders.push(await this.#contender(other, unseen))
    return contenders.length > 0 && this.#publish(bestOf(contenders), live, training, cause)
  }

  async #contender(candidate: Candidate<Model>, windows: readonly DraftRows[]): Promise<Contender<Model>> {
    return { ...candidate, ...(await this.#scored(candidate.name, candidate.model, windows)) }
  }

  async #scored(name: string, model: Model, windows: readonly DraftRows[]): Promise<Scored<Model>> {
    const { learner, kind, metrics } = this.#parts
    const scores = await learner.score(model, windows)
    const { alpha, greedyMatch, positions } = summarizeScores(scores)
    metrics.alpha.set({ draft: name }, alpha)
    return { model, scores, alpha, greedyMatch, positions, worth: alpha - kind.costOf(model) }
  }

  /** False when the store is full or away: the next contest may try again. */
  async #publish(
    best: Contender<Model>,
    live: Scored<Model>,
    training: TrainingFacts,
    cause: VersionCause,
  ): Promise<boolean> {
    const { line, metrics, logger } = this.#parts
    const { name, model, positions, alpha, greedyMatch, gradientTenants, sumTenants } = best
    const evaluation = {
      positions,
      alpha: known(alpha),
      parentAlpha: known(live.alpha),
      greedyMatch: known(greedyMatch),
    }
    const facts = { ...training, evaluation, gradientTenants, sumTenants }
    if (!(await worksNow(logger, 'version not written', () => line.publish(model, facts, cause)))) return false
    metrics.publishes.add({ origin: name })
    metrics.version.set({}, line.version)
    metrics.alpha.set({ draft: INCUMBENT }, alpha)
    return true
  }
}

/** The first of equals. */
function bestOf<Model>(contenders: readonly Contender<Model>[]): Contender<Model> {
  return contenders.reduce((first, next) => (next.worth > first.worth ? next : first))
}

/** Null where nothing was held out. */
function known(rate: number): number | null {
  return Number.isNaN(rate) ? null : rate
}

/** The publish rule. Windows, not positions, count as independent. */
function isBetter<Model>(best: Scored<Model>, live: Scored<Model>, windows: readonly DraftRows[]): boolean {
  const lengths = windows.map(({ length }) => length)
  const { gain, standardError } = pairedGain(best.scores.alpha, live.scores.alpha, lengths)
  const cost = best.worth - best.alpha - (live.worth - live.alpha)
  return gain + cost >= Math.max(MIN_GAIN, standardError)
}
