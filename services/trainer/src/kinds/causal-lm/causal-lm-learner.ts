import { parameterShapes, withDraftVocabulary, withLogitScale, type CausalDraft } from '@plateau/causal-lm'
import { CausalLmDraftScorer, type DraftRows, type DraftScores } from '@plateau/inference'
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
  type StepOutcome,
} from '../draft-kind.js'
import { GradientTurns, STEPS_PER_EVALUATION, type GradientTurnsOptions } from '../gradient-turns.js'
import { digestsOf } from '../learned-from.js'
import { LiveVocabulary } from '../live-vocabulary.js'
import { optimizerBytes, positionBytes, type MemoryBounds } from '../memory.js'
import type { ReplayedPlace } from '../replay.js'
import type { Parameters } from '../rule-turn.js'
import { CAUSAL_LM_SHAPE, CausalLmStage, type CausalLmStageOptions } from './causal-lm-stage.js'
import { decodeCausalLmState, encodeCausalLmState, type CausalLmState } from './causal-lm-state.js'

export interface CausalLmLearnerOptions
  extends
    CausalLmStageOptions,
    Pick<GradientTurnsOptions, 'gradientShare' | 'replayPositions' | 'trialStrategies' | 'trialKeep'> {}

interface Parts {
  readonly stage: CausalLmStage
  readonly scorer: CausalLmDraftScorer
  readonly turns: GradientTurns
  readonly vocabulary: LiveVocabulary
  readonly first: LearnerStart<CausalDraft>['first']
}

/** One stage: gradients on kept windows. A refresh gives the draft other tokens when the traffic uses others. */
export class CausalLmLearner implements Learner<CausalDraft> {
  readonly #stage: CausalLmStage
  readonly #scorer: CausalLmDraftScorer
  readonly #turns: GradientTurns
  readonly #vocabulary: LiveVocabulary
  readonly #first: LearnerStart<CausalDraft>['first']

  private constructor(parts: Parts) {
    this.#stage = parts.stage
    this.#scorer = parts.scorer
    this.#turns = parts.turns
    this.#vocabulary = parts.vocabulary
    this.#first = parts.first
  }

  static async open(options: CausalLmLearnerOptions, start: LearnerStart<CausalDraft>): Promise<CausalLmLearner> {
    const saved = readState(start)
    const ids = saved?.draftVocabulary
    const draft = ids === undefined ? start.incumbent : withDraftVocabulary(start.incumbent, ids)
    const { threads } = options
    const scorer = await CausalLmDraftScorer.create(draft.config, { threads, listedTokens: SCORED_TOKENS })
    const stage = new CausalLmStage(draft, options)
    if (saved !== undefined) stage.load(saved.training)
    const { gradientTenants: begunOn } = start.incumbentFrom
    const turns = new GradientTurns({ ...options, ...CAUSAL_LM_SHAPE }, start, saved?.turns, begunOn)
    // A lineage's drafts keep the number of tokens that they began with.
    const { targetVocabSize: vocabSize, draftVocabulary: known } = draft.config
    const vocabulary = new LiveVocabulary({ vocabSize, draftVocabulary: known?.length ?? 0 }, saved?.counts)
    return new CausalLmLearner({ stage, scorer, turns, vocabulary, first: start.first })
  }

  async admit(window: AcceptedRecord): Promise<void> {
    this.#vocabulary.add(window)
    this.#turns.offer(window)
  }

  restore(window: AcceptedRecord, { uses }: ReplayedPlace): void {
    this.#turns.restore(window, uses)
  }

  refreshIsDue(): boolean {
    return this.#vocabulary.isDue
  }

  async refresh(): Promise<boolean> {
    const { draft } = this.#stage
    const ids = this.#vocabulary.choose(draft.config.draftVocabulary)
    if (ids !== undefined) {
      this.#stage.restart(withDraftVocabulary(draft, ids))
      this.#turns.moved(undefined)
    }
    return false
  }

  refreshed(): void {}

  get nextStepMs(): number {
    return this.#turns.nextStepMs
  }

  step({ unseen: windows, calibration }: ComparedWindows): Promise<StepOutcome> {
    const alpha = async (parameters: Parameters) => {
      const draft = await this.#calibrated(this.#stage.draftOf(parameters), calibration)
      return (await this.#scorer.score(draft, windows)).alpha
    }
    return this.#turns.take(this.#stage, { windows, alpha })
  }

  async candidates(calibration: readonly DraftRows[]): Promise<Candidate<CausalDraft>[]> {
    this.#turns.compared()
    if (this.#stage.steps < STEPS_PER_EVALUATION) return []
    const model = await this.#calibrated(this.#stage.draft, calibration)
    const sumTenants = digestsOf(this.#vocabulary.tenants)
    return [{ name: 'gradients', model, gradientTenants: this.#turns.tenants, sumTenants }]
  }

  judged(): void {}

  score(draft: CausalDraft, windows: readonly DraftRows[]): Promise<DraftScores> {
    return this.#scorer.score(draft, windows)
  }

  /** What gradients have learned cannot be taken back: the draft begins again, from what it began with. */
  async forget({ tenant, isForgotten }: ForgetRequest): Promise<boolean> {
    const wasCounted = this.#vocabulary.forget(tenant)
    const wasInGradients = this.#turns.forget(tenant, isForgotten)
    if (!wasCounted && !wasInGradients) return false
    const { model, gradientTenants } = await this.#first()
    this.#stage.restart(model)
    this.#turns.restarted(gradientTenants)
    return true
  }

  async foundations(): Promise<LearnedModel<CausalDraft>[]> {
    return [await this.#first()]
  }

  get positions(): LearnedPositions {
    return { closedForm: 0, gradients: this.#turns.freshPositions }
  }

  get memory(): MemoryBounds {
    const { model } = this.#stage.draft.config
    return {
      sums: 0,
      replay: this.#turns.mostPositions * positionBytes(0),
      counts: this.#vocabulary.mostBytes,
      optimizer: optimizerBytes(parameterShapes(model).values()),
      target: 0,
    }
  }

  async state(): Promise<LearnerState> {
    const encoded = encodeCausalLmState({
      turns: this.#turns.state,
      draftVocabulary: this.#stage.draft.config.draftVocabulary,
      counts: this.#vocabulary.state,
      training: this.#stage.state,
    })
    return { ...encoded, replay: this.#turns.places }
  }

  async release(): Promise<void> {
    await this.#stage.release()
    await this.#scorer.release()
  }

  /** With the logit scale at which it does best on `windows`; unchanged when they are too few. */
  async #calibrated(draft: CausalDraft, windows: readonly DraftRows[]): Promise<CausalDraft> {
    const scale = await calibratedScale(windows, (c) => this.#scorer.score(draft, windows, c))
    return scale === undefined ? draft : withLogitScale(draft, scale)
  }
}

function readState({ lineage, incumbent, saved }: LearnerStart<CausalDraft>): CausalLmState | undefined {
  if (saved === undefined) return undefined
  const state = decodedState(decodeCausalLmState, saved, `the state of lineage ${lineage}`)
  for (const [name, { data }] of incumbent.parameters) {
    const [found, expected] = [state.training.parameters.get(name)?.length ?? 0, data.length]
    if (found !== expected) throw stateMismatch(lineage, { parameter: name, saved: found, expected })
  }
  return state
}
