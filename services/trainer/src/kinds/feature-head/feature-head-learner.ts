import {
  defaultLogitScale,
  featureHeadInputs,
  withoutLayer,
  withParameters,
  withVocabulary,
  type FeatureHead,
} from '@plateau/causal-lm'
import type { BinEdges } from '@plateau/flatness'
import { SumBank, sumsBytes, type RidgeSums } from '@plateau/training'
import { createHash } from 'node:crypto'
import { PlateauError } from '@plateau/contracts'
import { FeatureHeadScorer, type DraftRows, type DraftScores, type DraftTarget } from '@plateau/inference'
import { weightBins, type WeightBinChoice } from '../../policy/weight-bins.js'
import type { ComparedWindows } from '../../held-back.js'
import type { AcceptedRecord } from '../../training-record.js'
import { calibratedScale, SCORED_TOKENS } from '../calibration.js'
import {
  decodedState,
  stateMismatch,
  type Candidate,
  type ForgetRequest,
  type LearnedModel,
  type LearnedPositions,
  type Learner,
  type LearnerStart,
  type LearnerState,
  type SelectionLearning,
  type StepOutcome,
} from '../draft-kind.js'
import { digestsOf, type LearnedFrom } from '../learned-from.js'
import { LiveVocabulary, type LiveVocabularyOptions } from '../live-vocabulary.js'
import type { MemoryBounds } from '../memory.js'
import type { ReplayedPlace } from '../replay.js'
import { ClosedForm, type ClosedFormOptions } from './closed-form.js'
import { decodeFeatureHeadState, encodeFeatureHeadState, type FeatureHeadState } from './feature-head-state.js'
import { Gradients, type GradientsOptions, type GradientsParts } from './gradients.js'
import { SolveSchedule, type SolveOptions } from './solve-schedule.js'
import { cellsOfLearning, WeightLearning, type SumsScoring, type WeightLearningState } from './weight-learning.js'

export interface FeatureHeadLearnerOptions
  extends SolveOptions, ClosedFormOptions, GradientsOptions, Pick<LiveVocabularyOptions, 'draftVocabulary'> {
  /** What rows are told apart by when their weights are learned. */
  readonly weightBins: WeightBinChoice
  /** Whose windows are in what a new lineage begins with. */
  readonly initialFrom: LearnedFrom
}

const CLOSED_FORM = 'closed-form'
const GRADIENTS = 'gradients'

/** Two stages: the closed form, solved again whenever enough is new, and gradients on top of its newest solution. */
export class FeatureHeadLearner implements Learner<FeatureHead> {
  readonly #start: LearnerStart<FeatureHead>
  readonly #target: DraftTarget
  readonly #sumCells: number
  readonly #closedForm: ClosedForm
  readonly #schedule: SolveSchedule
  readonly #scorer: FeatureHeadScorer
  readonly #gradients: Gradients
  readonly #vocabulary: LiveVocabulary
  readonly #bins: BinEdges | undefined
  #weights: WeightLearning | undefined
  /** The fixed random features, and the newest solution once there is one. */
  #solution: FeatureHead
  /** In the sums, over the lineage's life. */
  #closedFormPositions: number
  /** Whose rows were in the sums of others that were solved with ours. */
  readonly #mergedTenants: Set<string>

  private constructor(
    options: FeatureHeadLearnerOptions,
    target: DraftTarget,
    start: LearnerStart<FeatureHead>,
    closedForm: ClosedForm,
    scorer: FeatureHeadScorer,
    saved: FeatureHeadState | undefined,
  ) {
    this.#start = start
    this.#target = target
    this.#sumCells = options.sumCells
    this.#bins = start.policy && weightBins(options.weightBins)
    this.#closedForm = closedForm
    const base = withoutLayer(start.incumbent)
    this.#solution = saved === undefined ? base : withVocabulary(base, saved.vocabulary)
    this.#vocabulary = new LiveVocabulary({ ...options, vocabSize: base.config.vocabSize }, saved?.counts)
    this.#scorer = scorer
    this.#closedFormPositions = saved?.closedFormPositions ?? 0
    this.#mergedTenants = new Set(saved?.mergedTenants)
    this.#schedule = new SolveSchedule(options, this.#closedFormPositions > 0)
    const alpha: GradientsParts['alpha'] = async (head, windows) => (await scorer.score(head, windows)).alpha
    const warm = options.prior && { head: options.prior.head, tenants: options.initialFrom.gradientTenants }
    this.#gradients = new Gradients(options, { ...start, target, warm, alpha }, saved?.turns)
  }

  static async open(
    options: FeatureHeadLearnerOptions,
    target: DraftTarget,
    start: LearnerStart<FeatureHead>,
  ): Promise<FeatureHeadLearner> {
    const { incumbent } = start
    const saved = readState(start)
    const closedForm = await ClosedForm.open(incumbent, target, options, saved?.closedForm)
    const scoring = { threads: options.threads, listedTokens: SCORED_TOKENS }
    const scorer = await FeatureHeadScorer.create(withoutLayer(incumbent).config, target, scoring)
    const learner = new FeatureHeadLearner(options, target, start, closedForm, scorer, saved)
    try {
      await learner.#openWeights(options, saved?.weights)
      if (saved !== undefined && saved.closedFormPositions > 0) await learner.#resume(saved)
      return learner
    } catch (error) {
      await learner.release()
      throw error
    }
  }

  async admit(window: AcceptedRecord): Promise<void> {
    const { rows } = window
    if (await this.#closedForm.add(window)) {
      this.#schedule.add(rows.length)
      this.#closedFormPositions += rows.length
      // Whose tokens are counted has sums, too: who is forgotten is found there.
      this.#vocabulary.add(window)
    } else this.#start.metrics.unusable.add({ reason: 'SUMS_FULL' })
    await this.#weights?.add(window)
    this.#gradients.offer(window)
  }

  restore(window: AcceptedRecord, { uses }: ReplayedPlace): void {
    this.#gradients.restore(window, uses)
  }

  refreshIsDue(): boolean {
    return this.#schedule.isDue(this.#closedFormPositions, this.#start.clock())
  }

  async refresh(calibration: readonly DraftRows[]): Promise<boolean> {
    const { clock, logger, metrics } = this.#start
    this.#schedule.begin()
    try {
      const solved = await this.#solvedOn(this.#solution)
      this.#solution = await this.#calibrated(this.#withLiveVocabulary(solved), calibration)
    } catch (error) {
      // Too few or damaged sums: the next windows may mend it, and the incumbent serves meanwhile.
      if (!(error instanceof RangeError)) throw error
      logger.warn('closed form not solved', { error })
      this.#schedule.failed(clock())
      return false
    }
    await this.#gradients.rebase(this.#solution)
    metrics.solves.add({})
    return true
  }

  refreshed(tookMs: number): void {
    this.#schedule.solved(this.#start.clock(), tookMs)
    this.#start.metrics.solveSeconds.record({}, tookMs / 1000)
  }

  get selection(): SelectionLearning | undefined {
    return this.#weights
  }

  get nextStepMs(): number {
    return this.#gradients.nextStepMs
  }

  step(windows: ComparedWindows): Promise<StepOutcome> {
    return this.#gradients.step(windows)
  }

  async candidates(): Promise<Candidate<FeatureHead>[]> {
    const gradients = this.#gradients.candidate()
    const sumTenants = this.#sumTenants
    const { tenants: gradientTenants } = this.#gradients
    return [
      { name: CLOSED_FORM, model: this.#solution, gradientTenants: [], sumTenants },
      ...(gradients === undefined ? [] : [{ name: GRADIENTS, model: gradients, gradientTenants, sumTenants }]),
    ]
  }

  judged(alpha: ReadonlyMap<string, number>): void {
    const [closedForm, gradients] = [alpha.get(CLOSED_FORM), alpha.get(GRADIENTS)]
    if (closedForm === undefined || gradients === undefined) return
    this.#gradients.judged(gradients, closedForm, this.#solution)
  }

  score(head: FeatureHead, windows: readonly DraftRows[]): Promise<DraftScores> {
    return this.#scorer.score(head, windows)
  }

  async forget({ tenant, isForgotten, calibration }: ForgetRequest): Promise<boolean> {
    const wasInSums = await this.#closedForm.forget(tenant)
    const wasInGradients = this.#gradients.forget(tenant, isForgotten)
    this.#vocabulary.forget(tenant)
    await this.#weights?.forget(tenant)
    if (!wasInSums && !wasInGradients && !this.#mergedTenants.has(tenant)) return false
    this.#mergedTenants.clear()
    this.#solution = await this.#calibrated(await this.#solvedAgain(this.#vocabulary.best()), calibration)
    await this.#gradients.restart(this.#solution)
    return true
  }

  async foundations(): Promise<LearnedModel<FeatureHead>[]> {
    const solved = { model: this.#solution, gradientTenants: [], sumTenants: this.#sumTenants }
    return [solved, await this.#start.first()]
  }

  get positions(): LearnedPositions {
    return { closedForm: this.#closedFormPositions, gradients: this.#gradients.freshPositions }
  }

  get memory(): MemoryBounds {
    const { config } = this.#solution
    const { embeddings, head } = this.#target
    const tensors = new Set([embeddings, head])
    const cellBytes = sumsBytes(featureHeadInputs(config), config.hiddenSize)
    return {
      // As much again as two cells is worked on in a solve.
      sums: (this.#sumCells + 2) * cellBytes,
      weight_learning: this.#bins === undefined ? 0 : cellsOfLearning(this.#bins) * cellBytes,
      ...this.#gradients.memoryOn(config),
      counts: this.#vocabulary.mostBytes,
      target: [...tensors].reduce((sum, { byteLength }) => sum + byteLength, 0),
    }
  }

  async state(): Promise<LearnerState> {
    const encoded = encodeFeatureHeadState({
      closedFormPositions: this.#closedFormPositions,
      mergedTenants: [...this.#mergedTenants],
      turns: this.#gradients.turnsState,
      features: featuresOf(this.#solution),
      logitScale: this.#solution.parameters.get('logit_scale')?.data[0] ?? defaultLogitScale,
      vocabulary: this.#solution.vocabulary,
      counts: this.#vocabulary.state,
      closedForm: await this.#closedForm.state(),
      weights: await this.#weights?.state(),
      gradients: this.#gradients.state,
    })
    return { ...encoded, replay: this.#gradients.places }
  }

  async release(): Promise<void> {
    await this.#closedForm.release()
    await this.#weights?.release()
    await this.#gradients.release()
    await this.#scorer.release()
  }

  async #openWeights(options: FeatureHeadLearnerOptions, saved: WeightLearningState | undefined): Promise<void> {
    const { policy, ...start } = this.#start
    if (policy === undefined || this.#bins === undefined) return
    const parts = { ...start, policy, scoring: () => this.#scoring() }
    this.#weights = await WeightLearning.open(
      this.#solution,
      this.#target,
      { ...options, bins: this.#bins },
      parts,
      saved,
    )
  }

  /** By heads that have the newest solution's tokens, now and later. */
  #scoring(): SumsScoring {
    const base = this.#solution
    return async (sums, { unseen, calibration }) => {
      const solved = withParameters(base, { 'fc.weight': await this.#closedForm.solveSums(sums) })
      const { alpha } = await this.#scorer.score(await this.#calibrated(solved, calibration), unseen)
      return alpha
    }
  }

  /** Who was forgotten is in neither: the solution is had again then. */
  get #sumTenants(): string[] {
    return digestsOf([...this.#closedForm.tenants, ...this.#mergedTenants])
  }

  /** The sums of the trainers that are merged with this one, but for tenants that this lineage must not know. */
  async #others(): Promise<RidgeSums[]> {
    const { others, forgotten } = this.#start
    const features = featuresOf(this.#solution)
    return (await others()).map(({ lineage, state }) => {
      const theirs = decodedState(decodeFeatureHeadState, state, `the state of lineage ${lineage}`)
      if (theirs.features !== features) throw notMergeable(lineage)
      const bank = SumBank.of(theirs.closedForm.bank)
      for (const tenant of forgotten()) bank.forget(tenant)
      for (const { key } of bank.shares) if (key.tenant !== undefined) this.#mergedTenants.add(key.tenant)
      return bank.total()
    })
  }

  /** From what is left in the sums, with these tokens; as at the beginning when nothing is. */
  async #solvedAgain(vocabulary: Int32Array | undefined): Promise<FeatureHead> {
    const base = withVocabulary(withoutLayer((await this.#start.first()).model), vocabulary)
    return this.#closedForm.isEmpty ? base : this.#solvedOn(base)
  }

  async #solvedOn(head: FeatureHead): Promise<FeatureHead> {
    return withParameters(head, { 'fc.weight': await this.#closedForm.solve(await this.#others()) })
  }

  /** With the logit scale at which it does best on `windows`. */
  async #calibrated(head: FeatureHead, windows: readonly DraftRows[]): Promise<FeatureHead> {
    const scale = await calibratedScale(windows, (c) => this.#scorer.score(head, windows, c))
    return scale === undefined ? head : withParameters(head, { logit_scale: Float32Array.of(scale) })
  }

  #withLiveVocabulary(head: FeatureHead): FeatureHead {
    const ids = this.#vocabulary.isDue ? this.#vocabulary.choose(head.vocabulary) : undefined
    return ids === undefined ? head : withVocabulary(head, ids)
  }

  /** The solution is had by solving again; everybody whose rows were in the sums may have been forgotten. */
  async #resume(saved: FeatureHeadState): Promise<void> {
    const { isEmpty } = this.#closedForm
    const solved = isEmpty ? await this.#solvedAgain(saved.vocabulary) : await this.#solvedOn(this.#solution)
    this.#solution = withParameters(solved, { logit_scale: Float32Array.of(saved.logitScale) })
    if (saved.gradients !== undefined) this.#gradients.resume(this.#solution, saved.gradients)
  }
}

function readState({ lineage, incumbent, saved }: LearnerStart<FeatureHead>): FeatureHeadState | undefined {
  if (saved === undefined) return undefined
  const state = decodedState(decodeFeatureHeadState, saved, `the state of lineage ${lineage}`)
  const [inputs, expected] = [state.closedForm.bank.options.inputs, featureHeadInputs(incumbent.config)]
  if (inputs !== expected) throw stateMismatch(lineage, { savedInputs: inputs, inputs: expected })
  return state
}

/** Sums can be merged where the head's fixed features are the same. */
function featuresOf({ config, parameters }: FeatureHead): string {
  const { hiddenSize, bilinearFeatures, bilinearSeed } = config
  const hash = createHash('sha256').update(JSON.stringify({ hiddenSize, bilinearFeatures, bilinearSeed }))
  for (const [name, { data }] of parameters) if (name.startsWith('bilinear.')) hash.update(name).update(data)
  return hash.digest('hex')
}

function notMergeable(lineage: string): PlateauError {
  return new PlateauError(
    'LINEAGES_NOT_MERGEABLE',
    `the sums of lineage ${lineage} are of other features: begin both with the same PLATEAU_BILINEAR_FEATURES, or with ` +
      'the same PLATEAU_WARM_START',
    { facts: { lineage } },
  )
}
