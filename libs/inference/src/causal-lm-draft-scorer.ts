import {
  buildCausalDraftScoreGraph,
  draftVocabularyMap,
  parameterShapes,
  withLogitScale,
  type CausalDraft,
  type CausalDraftConfig,
} from '@plateau/causal-lm'
import { batches, batchTensors, parameterTensors, tokenBatch, type TokenRows } from '@plateau/training'
import type { DraftScores } from './feature-head-scorer.js'
import type { FloatTensor } from './host-tensor.js'
import { listedOverlap } from './listed-overlap.js'
import { loadSession, type InferenceSession } from './session.js'

const SEQUENCES = 8
const POSITIONS = 64

/** Scores any causal draft of one shape against recorded windows; each window is read from its own beginning. */
export class CausalLmDraftScorer {
  readonly #session: InferenceSession
  readonly #config: CausalDraftConfig
  readonly #listed: number

  private constructor(session: InferenceSession, config: CausalDraftConfig, listed: number) {
    this.#session = session
    this.#config = config
    this.#listed = listed
  }

  /** `listedTokens`: how many of a window's listed tokens count; the first ones, if it lists more. */
  static async create(
    config: CausalDraftConfig,
    options: { readonly threads: number; readonly listedTokens: number },
  ): Promise<CausalLmDraftScorer> {
    const listed = Math.min(options.listedTokens, config.model.vocabSize)
    const shape = { sequences: SEQUENCES, positions: POSITIONS, targetsPerRow: listed }
    const session = await loadSession(buildCausalDraftScoreGraph(config, shape), {
      threads: options.threads,
      name: 'draft evaluation',
    })
    return new CausalLmDraftScorer(session, config, listed)
  }

  /**
   * One entry per row, window after window. Tokens that the draft cannot say have q = 0. `logitScale` multiplies the
   * draft's logits.
   */
  async score(draft: CausalDraft, windows: readonly TokenRows[], logitScale = 1): Promise<DraftScores> {
    const { model } = this.#config
    const scaled = logitScale === 1 ? draft : withLogitScale(draft, logitScale)
    const arrays = new Map([...parameterShapes(model).keys()].map((name) => [name, scaled.parameters.get(name)!.data]))
    const parameters = parameterTensors(model, arrays)
    const vocabulary = draftVocabularyMap(draft.config)
    const total = windows.reduce((sum, rows) => sum + rows.length, 0)
    const scores = { alpha: new Float64Array(total), greedyMatch: new Uint8Array(total) }
    const shape = { sequences: SEQUENCES, positions: POSITIONS, targetsPerRow: this.#listed }
    let done = 0
    for (const pieces of batches(windows, SEQUENCES, POSITIONS)) {
      const batch = tokenBatch(pieces, vocabulary, shape)
      const probs = batch.targetProbs.map((p, at) => (Number(batch.targetIds[at]) === vocabulary.unknown ? 0 : p))
      const { input_ids, target_ids } = batchTensors(batch)
      const outputs = await this.#session.run({ ...parameters, input_ids: input_ids!, target_ids: target_ids! })
      const greedy = (outputs['greedy'] as FloatTensor).data
      for (const [sequence, { rows, from, to }] of pieces.entries()) {
        for (let r = from; r < to; r++) {
          const row = sequence * POSITIONS + r - from
          scores.alpha[done] = listedOverlap({ outputs, listed: this.#listed, probs }, row)
          const likeliest = vocabulary.tokenOf[greedy[row]!]
          scores.greedyMatch[done++] = likeliest === rows.listedIds[r * rows.listed] ? 1 : 0
        }
      }
    }
    return scores
  }

  release(): Promise<void> {
    return this.#session.release()
  }
}
