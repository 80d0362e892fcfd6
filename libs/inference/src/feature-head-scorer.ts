import {
  buildFeatureHeadScoreGraph,
  featureHeadShapes,
  type FeatureHead,
  type FeatureHeadConfig,
} from '@plateau/causal-lm'
import { batches, fillBatch, type DraftRows, type DraftTarget } from '@plateau/training'
import { float32, int64, type FloatTensor, type HostTensor } from './host-tensor.js'
import { loadSession, type InferenceSession } from './session.js'

/** What a draft is worth at each of a list of positions. */
export interface DraftScores {
  /**
   * Per position: the sum over the target's listed tokens of min(p, q), with q over the whole vocabulary. A certified
   * lower bound of alpha = sum over all tokens: what the unlisted tail could add is left out.
   */
  readonly alpha: Float64Array
  /** Per position: 1 where the draft's most probable token is the target's. */
  readonly greedyMatch: Uint8Array
}

export interface DraftScoreSummary {
  readonly positions: number
  readonly alpha: number
  readonly greedyMatch: number
}

const SEQUENCES = 8
const POSITIONS = 64

/** Scores any head of one configuration against recorded windows. */
export class FeatureHeadScorer {
  readonly #session: InferenceSession
  readonly #config: FeatureHeadConfig
  readonly #target: DraftTarget
  readonly #listed: number
  readonly #head: FloatTensor

  private constructor(session: InferenceSession, config: FeatureHeadConfig, target: DraftTarget, listed: number) {
    this.#session = session
    this.#config = config
    this.#target = target
    this.#listed = listed
    this.#head = float32(target.head, [config.vocabSize, config.hiddenSize])
  }

  /** `listedTokens`: how many of a window's listed tokens count; the first ones, if it lists more. */
  static async create(
    config: FeatureHeadConfig,
    target: DraftTarget,
    options: { readonly threads: number; readonly listedTokens: number },
  ): Promise<FeatureHeadScorer> {
    const listed = Math.min(options.listedTokens, config.vocabSize)
    const shape = { sequences: SEQUENCES, positions: POSITIONS, listedTokens: listed }
    const session = await loadSession(buildFeatureHeadScoreGraph(config, shape), {
      threads: options.threads,
      name: 'draft evaluation',
    })
    return new FeatureHeadScorer(session, config, target, listed)
  }

  /** One entry per row, window after window. `logitScale` replaces the head's own. */
  async score(head: FeatureHead, windows: readonly DraftRows[], logitScale?: number): Promise<DraftScores> {
    const total = windows.reduce((sum, rows) => sum + rows.length, 0)
    const scores = { alpha: new Float64Array(total), greedyMatch: new Uint8Array(total) }
    const parameters = this.#parameters(head, logitScale)
    const rows = SEQUENCES * POSITIONS
    let done = 0
    for (const pieces of batches(windows, SEQUENCES, POSITIONS)) {
      const batch = fillBatch(pieces, this.#target, this.#listed, SEQUENCES, POSITIONS)
      const outputs = await this.#session.run({
        ...parameters,
        head: this.#head,
        token: float32(batch.token, [rows, this.#config.hiddenSize]),
        feature: float32(batch.feature, [rows, this.#config.hiddenSize]),
        target_ids: int64(batch.ids, [rows, this.#listed]),
      })
      const logits = (outputs['listed_logits'] as FloatTensor).data
      const logSumExp = (outputs['log_sum_exp'] as FloatTensor).data
      const greedy = (outputs['greedy'] as FloatTensor).data
      for (const [sequence, { rows: window, from, to }] of pieces.entries()) {
        for (let r = from; r < to; r++) {
          const row = sequence * POSITIONS + r - from
          let alpha = 0
          for (let j = 0; j < Math.min(this.#listed, window.listed); j++) {
            const q = Math.exp(logits[row * this.#listed + j]! - logSumExp[row]!)
            alpha += Math.min(window.listedProbs[r * window.listed + j]!, q)
          }
          scores.alpha[done] = alpha
          scores.greedyMatch[done++] = greedy[row] === window.listedIds[r * window.listed] ? 1 : 0
        }
      }
    }
    return scores
  }

  release(): Promise<void> {
    return this.#session.release()
  }

  #parameters(head: FeatureHead, logitScale: number | undefined): Record<string, HostTensor> {
    const feeds: Record<string, HostTensor> = {}
    for (const [name, shape] of featureHeadShapes(this.#config)) {
      const found = head.parameters.get(name)
      if (found === undefined) throw new RangeError(`the feature head lacks ${name}, which this scorer needs`)
      feeds[name] = float32(found.data, shape)
    }
    if (logitScale !== undefined) feeds['logit_scale'] = float32(Float32Array.of(logitScale))
    return feeds
  }
}

export function summarizeScores({ alpha, greedyMatch }: DraftScores): DraftScoreSummary {
  const mean = (values: ArrayLike<number>): number => {
    let sum = 0
    for (let i = 0; i < values.length; i++) sum += values[i]!
    return values.length === 0 ? Number.NaN : sum / values.length
  }
  return { positions: alpha.length, alpha: mean(alpha), greedyMatch: mean(greedyMatch) }
}
