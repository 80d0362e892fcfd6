import {
  buildFeatureHeadScoreGraph,
  draftOutputHead,
  draftRowsOfTokens,
  draftVocabSize,
  featureHeadParameter,
  featureHeadShapes,
  type FeatureHead,
  type FeatureHeadConfig,
} from '@plateau/causal-lm'
import { batches, fillBatch, type DraftRows, type DraftTarget } from '@plateau/training'
import { float32, int64, type FloatTensor, type HostTensor } from './host-tensor.js'
import { listedOverlap } from './listed-overlap.js'
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

export interface ScorerOptions {
  readonly threads: number
  /** How many of a window's listed tokens count; the first ones, if it lists more. */
  readonly listedTokens: number
}

const SEQUENCES = 8
const POSITIONS = 64

/** Scores any heads of one target against recorded windows. */
export class FeatureHeadScorer {
  readonly #target: DraftTarget
  readonly #options: ScorerOptions
  /** By configuration: heads that differ in their numbers and tokens only share a graph. */
  readonly #sessions = new Map<string, Promise<InferenceSession>>()
  /** Slices of the output head, by vocabulary. */
  readonly #outputHeads = new WeakMap<Int32Array, FloatTensor>()

  private constructor(target: DraftTarget, options: ScorerOptions) {
    this.#target = target
    this.#options = options
  }

  /** `config`: the graph for it is made at once. */
  static async create(
    config: FeatureHeadConfig,
    target: DraftTarget,
    options: ScorerOptions,
  ): Promise<FeatureHeadScorer> {
    const scorer = new FeatureHeadScorer(target, options)
    await scorer.#session(config)
    return scorer
  }

  /** One entry per row, window after window. `logitScale` replaces the head's own. */
  async score(head: FeatureHead, windows: readonly DraftRows[], logitScale?: number): Promise<DraftScores> {
    const { config } = head
    const session = await this.#session(config)
    const listed = this.#listed(config)
    const total = windows.reduce((sum, rows) => sum + rows.length, 0)
    const scores = { alpha: new Float64Array(total), greedyMatch: new Uint8Array(total) }
    const fixed = { ...parameterFeeds(head, logitScale), head: this.#outputHead(head) }
    const draftRows = draftRowsOfTokens(head)
    const rows = SEQUENCES * POSITIONS
    let done = 0
    for (const pieces of batches(windows, SEQUENCES, POSITIONS)) {
      const batch = fillBatch(pieces, this.#target, listed, SEQUENCES, POSITIONS, draftRows)
      const outputs = await session.run({
        ...fixed,
        token: float32(batch.token, [rows, config.hiddenSize]),
        feature: float32(batch.feature, [rows, config.hiddenSize]),
        target_ids: int64(batch.ids, [rows, listed]),
      })
      const greedy = (outputs['greedy'] as FloatTensor).data
      for (const [sequence, { rows: window, from, to }] of pieces.entries()) {
        for (let r = from; r < to; r++) {
          const row = sequence * POSITIONS + r - from
          scores.alpha[done] = listedOverlap({ outputs, listed, probs: batch.probs }, row)
          const best = head.vocabulary?.[greedy[row]!] ?? greedy[row]
          scores.greedyMatch[done++] = best === window.listedIds[r * window.listed] ? 1 : 0
        }
      }
    }
    return scores
  }

  async release(): Promise<void> {
    for (const session of this.#sessions.values()) await (await session).release()
  }

  #session(config: FeatureHeadConfig): Promise<InferenceSession> {
    const key = JSON.stringify(config)
    const known = this.#sessions.get(key)
    if (known !== undefined) return known
    const shape = { sequences: SEQUENCES, positions: POSITIONS, listedTokens: this.#listed(config) }
    const { threads } = this.#options
    const session = loadSession(buildFeatureHeadScoreGraph(config, shape), { threads, name: 'draft evaluation' })
    this.#sessions.set(key, session)
    return session
  }

  #listed(config: FeatureHeadConfig): number {
    return Math.min(this.#options.listedTokens, draftVocabSize(config))
  }

  #outputHead(head: FeatureHead): FloatTensor {
    const { hiddenSize } = head.config
    if (head.vocabulary === undefined) return float32(this.#target.head, [head.config.vocabSize, hiddenSize])
    const known = this.#outputHeads.get(head.vocabulary)
    if (known !== undefined) return known
    const rows = float32(draftOutputHead(head, this.#target), [head.vocabulary.length, hiddenSize])
    this.#outputHeads.set(head.vocabulary, rows)
    return rows
  }
}

function parameterFeeds(head: FeatureHead, logitScale: number | undefined): Record<string, HostTensor> {
  const feeds: Record<string, HostTensor> = {}
  for (const [name, shape] of featureHeadShapes(head.config))
    feeds[name] = float32(featureHeadParameter(head, name), shape)
  if (logitScale !== undefined) feeds['logit_scale'] = float32(Float32Array.of(logitScale))
  return feeds
}

export function summarizeScores({ alpha, greedyMatch }: DraftScores): DraftScoreSummary {
  const mean = (values: ArrayLike<number>): number => {
    let sum = 0
    for (let i = 0; i < values.length; i++) sum += values[i]!
    return values.length === 0 ? Number.NaN : sum / values.length
  }
  return { positions: alpha.length, alpha: mean(alpha), greedyMatch: mean(greedyMatch) }
}
