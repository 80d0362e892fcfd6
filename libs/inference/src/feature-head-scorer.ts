import {
  buildFeatureHeadScoreGraph,
  draftOutputHead,
  draftRowsOfTokens,
  draftVocabSize,
  featureHeadParameter,
  featureHeadShapes,
  type FeatureHead,
  type FeatureHeadConfig,
  type ScoreOptions,
} from '@plateau/causal-lm'
import { batches, fillBatch, type DraftRows, type DraftTarget, type Piece } from '@plateau/training'
import { float32, int64, type FloatTensor, type HostTensor } from './host-tensor.js'
import { emptySignals, setSignals, type PositionSignals } from './position-signals.js'
import { batchRows, listedOverlap, listedSignals, rowCount, type ScoredBatch } from './scored-batch.js'
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
  /** By configuration and outputs: heads that differ in their numbers and tokens only share a graph. */
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
    await scorer.#session(config, {})
    return scorer
  }

  /** One entry per row, window after window. `logitScale` replaces the head's own. */
  async score(head: FeatureHead, windows: readonly DraftRows[], logitScale?: number): Promise<DraftScores> {
    const total = rowCount(windows)
    const scores = { alpha: new Float64Array(total), greedyMatch: new Uint8Array(total) }
    let done = 0
    for await (const { pieces, scored } of this.#batches(head, windows, { logitScale })) {
      const greedy = (scored.outputs['greedy'] as FloatTensor).data
      for (const { row, window, r } of batchRows(pieces, POSITIONS)) {
        scores.alpha[done] = listedOverlap(scored, row)
        const best = head.vocabulary?.[greedy[row]!] ?? greedy[row]
        scores.greedyMatch[done++] = best === window.listedIds[r * window.listed] ? 1 : 0
      }
    }
    return scores
  }

  /** One entry per row, window after window. Costs two passes more over the logits than `score`. */
  async signals(head: FeatureHead, windows: readonly DraftRows[]): Promise<PositionSignals> {
    const signals = emptySignals(rowCount(windows))
    let done = 0
    for await (const { pieces, scored } of this.#batches(head, windows, { wholeQ: true })) {
      for (const { row } of batchRows(pieces, POSITIONS)) setSignals(signals, done++, listedSignals(scored, row))
    }
    return signals
  }

  async release(): Promise<void> {
    for (const session of this.#sessions.values()) await (await session).release()
  }

  async *#batches(
    head: FeatureHead,
    windows: readonly DraftRows[],
    { logitScale, ...asked }: ScoreOptions & { readonly logitScale?: number | undefined },
  ): AsyncGenerator<{ pieces: Piece[]; scored: ScoredBatch }> {
    const { config } = head
    const session = await this.#session(config, asked)
    const listed = this.#listed(config)
    const fixed = { ...parameterFeeds(head, logitScale), head: this.#outputHead(head) }
    const draftRows = draftRowsOfTokens(head)
    const rows = SEQUENCES * POSITIONS
    for (const pieces of batches(windows, SEQUENCES, POSITIONS)) {
      const batch = fillBatch(pieces, this.#target, listed, SEQUENCES, POSITIONS, draftRows)
      const outputs = await session.run({
        ...fixed,
        token: float32(batch.token, [rows, config.hiddenSize]),
        feature: float32(batch.feature, [rows, config.hiddenSize]),
        target_ids: int64(batch.ids, [rows, listed]),
      })
      yield { pieces, scored: { outputs, listed, probs: batch.probs } }
    }
  }

  #session(config: FeatureHeadConfig, asked: ScoreOptions): Promise<InferenceSession> {
    const key = JSON.stringify([config, asked])
    const known = this.#sessions.get(key)
    if (known !== undefined) return known
    const shape = { sequences: SEQUENCES, positions: POSITIONS, listedTokens: this.#listed(config) }
    const { threads } = this.#options
    const graph = buildFeatureHeadScoreGraph(config, shape, asked)
    const session = loadSession(graph, { threads, name: 'draft evaluation' })
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
