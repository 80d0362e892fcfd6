import {
  buildCausalDraftScoreGraph,
  draftVocabularyMap,
  parameterShapes,
  withLogitScale,
  type CausalDraft,
  type CausalDraftConfig,
  type DraftVocabularyMap,
  type ScoreOptions,
} from '@plateau/causal-lm'
import {
  batches,
  batchTensors,
  parameterTensors,
  tokenBatch,
  type LanguageModelBatch,
  type Piece,
  type TokenRows,
} from '@plateau/training'
import type { DraftScores } from './feature-head-scorer.js'
import type { FloatTensor } from './host-tensor.js'
import { emptySignals, setSignals, type PositionSignals } from './position-signals.js'
import { batchRows, listedOverlap, listedSignals, rowCount, type ScoredBatch } from './scored-batch.js'
import { loadSession, type InferenceSession } from './session.js'

const SEQUENCES = 8
const POSITIONS = 64

export interface CausalScorerOptions {
  readonly threads: number
  /** How many of a window's listed tokens count; the first ones, if it lists more. */
  readonly listedTokens: number
}

/** A batch that was run, with what the target says of it. */
interface RunBatch {
  readonly pieces: readonly Piece<TokenRows>[]
  readonly outputs: ScoredBatch['outputs']
  readonly batch: LanguageModelBatch
  readonly vocabulary: DraftVocabularyMap
}

/** Scores any causal draft of one shape against recorded windows; each window is read from its own beginning. */
export class CausalLmDraftScorer {
  readonly #config: CausalDraftConfig
  readonly #options: CausalScorerOptions
  readonly #listed: number
  /** By their outputs. */
  readonly #sessions = new Map<string, Promise<InferenceSession>>()

  private constructor(config: CausalDraftConfig, options: CausalScorerOptions) {
    this.#config = config
    this.#options = options
    this.#listed = Math.min(options.listedTokens, config.model.vocabSize)
  }

  static async create(config: CausalDraftConfig, options: CausalScorerOptions): Promise<CausalLmDraftScorer> {
    const scorer = new CausalLmDraftScorer(config, options)
    await scorer.#session({})
    return scorer
  }

  /**
   * One entry per row, window after window. Tokens that the draft cannot say have q = 0. `logitScale` multiplies the
   * draft's logits.
   */
  async score(draft: CausalDraft, windows: readonly TokenRows[], logitScale = 1): Promise<DraftScores> {
    const scaled = logitScale === 1 ? draft : withLogitScale(draft, logitScale)
    const total = rowCount(windows)
    const scores = { alpha: new Float64Array(total), greedyMatch: new Uint8Array(total) }
    const listed = this.#listed
    let done = 0
    for await (const { pieces, outputs, batch, vocabulary } of this.#batches(scaled, windows, {})) {
      const probs = batch.targetProbs.map((p, at) => (Number(batch.targetIds[at]) === vocabulary.unknown ? 0 : p))
      const greedy = (outputs['greedy'] as FloatTensor).data
      for (const { row, window, r } of batchRows(pieces, POSITIONS)) {
        scores.alpha[done] = listedOverlap({ outputs, listed, probs }, row)
        const likeliest = vocabulary.tokenOf[greedy[row]!]
        scores.greedyMatch[done++] = likeliest === window.listedIds[r * window.listed] ? 1 : 0
      }
    }
    return scores
  }

  /**
   * One entry per row, window after window. The unknown takes part in the step as in training, with what the target lists
   * of tokens that the draft cannot say; it is never accepted.
   */
  async signals(draft: CausalDraft, windows: readonly TokenRows[]): Promise<PositionSignals> {
    const signals = emptySignals(rowCount(windows))
    const listed = this.#listed
    let done = 0
    for await (const { pieces, outputs, batch, vocabulary } of this.#batches(draft, windows, { wholeQ: true })) {
      const scored = { outputs, listed, probs: batch.targetProbs }
      const cannotSay = (at: number): boolean => Number(batch.targetIds[at]) === vocabulary.unknown
      for (const { row } of batchRows(pieces, POSITIONS)) {
        setSignals(signals, done++, listedSignals(scored, row, cannotSay))
      }
    }
    return signals
  }

  async release(): Promise<void> {
    for (const session of this.#sessions.values()) await (await session).release()
  }

  async *#batches(draft: CausalDraft, windows: readonly TokenRows[], asked: ScoreOptions): AsyncGenerator<RunBatch> {
    const { model } = this.#config
    const session = await this.#session(asked)
    const arrays = new Map([...parameterShapes(model).keys()].map((name) => [name, draft.parameters.get(name)!.data]))
    const parameters = parameterTensors(model, arrays)
    const vocabulary = draftVocabularyMap(draft.config)
    for (const pieces of batches(windows, SEQUENCES, POSITIONS)) {
      const batch = tokenBatch(pieces, vocabulary, this.#shape)
      const { input_ids, target_ids } = batchTensors(batch)
      const outputs = await session.run({ ...parameters, input_ids: input_ids!, target_ids: target_ids! })
      yield { pieces, outputs, batch, vocabulary }
    }
  }

  #session(asked: ScoreOptions): Promise<InferenceSession> {
    const key = JSON.stringify(asked)
    const known = this.#sessions.get(key)
    if (known !== undefined) return known
    const graph = buildCausalDraftScoreGraph(this.#config, this.#shape, asked)
    const session = loadSession(graph, { threads: this.#options.threads, name: 'draft evaluation' })
    this.#sessions.set(key, session)
    return session
  }

  get #shape() {
    return { sequences: SEQUENCES, positions: POSITIONS, targetsPerRow: this.#listed }
  }
}
