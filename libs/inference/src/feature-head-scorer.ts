import {
  buildFeatureHeadScoreGraph,
  featureHeadShapes,
  type FeatureHead,
  type FeatureHeadConfig,
} from '@plateau/causal-lm'
import { embedRows, type DraftRows, type DraftTarget } from './feature-head-rows.js'
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
    let done = 0
    for (const pieces of batches(windows)) {
      const batch = fillBatch(pieces, this.#target, this.#listed)
      const outputs = await this.#session.run({
        ...parameters,
        head: this.#head,
        token: batch.token,
        feature: batch.feature,
        target_ids: batch.ids,
      })
      const logits = (outputs['listed_logits'] as FloatTensor).data
      const logSumExp = (outputs['log_sum_exp'] as FloatTensor).data
      const greedy = (outputs['greedy'] as FloatTensor).data
      for (const [sequence, { rows, from, to }] of pieces.entries()) {
        for (let r = from; r < to; r++) {
          const row = sequence * POSITIONS + r - from
          let alpha = 0
          for (let j = 0; j < Math.min(this.#listed, rows.listed); j++) {
            const q = Math.exp(logits[row * this.#listed + j]! - logSumExp[row]!)
            alpha += Math.min(rows.listedProbs[r * rows.listed + j]!, q)
          }
          scores.alpha[done] = alpha
          scores.greedyMatch[done++] = greedy[row] === rows.listedIds[r * rows.listed] ? 1 : 0
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

/** Rows [from, to) of a window: one sequence of a batch. */
export interface Piece {
  readonly rows: DraftRows
  readonly from: number
  readonly to: number
}

/** Windows cut to sequences of at most `positions` rows, `sequences` to a batch; order is kept. */
export function batches(windows: readonly DraftRows[], sequences = SEQUENCES, positions = POSITIONS): Piece[][] {
  const pieces = windows.flatMap((rows) =>
    Array.from({ length: Math.ceil(rows.length / positions) }, (_, i) => ({
      rows,
      from: i * positions,
      to: Math.min(rows.length, (i + 1) * positions),
    })),
  )
  return Array.from({ length: Math.ceil(pieces.length / sequences) }, (_, i) =>
    pieces.slice(i * sequences, (i + 1) * sequences),
  )
}

export interface FilledBatch {
  readonly token: FloatTensor
  readonly feature: FloatTensor
  readonly ids: HostTensor
  /** [N, k], 0 in padding. */
  readonly probs: FloatTensor
  /** [N]: 1 for a row, 0 for padding. */
  readonly present: Float32Array
}

export function fillBatch(
  pieces: readonly Piece[],
  target: DraftTarget,
  listed: number,
  sequences = SEQUENCES,
  positions = POSITIONS,
): FilledBatch {
  const hidden = target.norm.length
  const n = sequences * positions
  const token = new Float32Array(n * hidden)
  const feature = new Float32Array(n * hidden)
  const ids = new BigInt64Array(n * listed)
  const probs = new Float32Array(n * listed)
  const present = new Float32Array(n)
  for (const [sequence, { rows, from, to }] of pieces.entries()) {
    const start = sequence * positions
    embedRows(target, rows.tokens.subarray(from, to), token, start)
    feature.set(rows.features.subarray(from * hidden, to * hidden), start * hidden)
    present.fill(1, start, start + to - from)
    for (let r = from; r < to; r++) fillListed(rows, r, ids, probs, (start + r - from) * listed, listed)
  }
  // Ids of one row must differ in padding, too.
  for (let row = 0; row < n; row++) {
    if (present[row] === 0) for (let j = 0; j < listed; j++) ids[row * listed + j] = BigInt(j)
  }
  return {
    token: float32(token, [n, hidden]),
    feature: float32(feature, [n, hidden]),
    ids: int64(ids, [n, listed]),
    probs: float32(probs, [n, listed]),
    present,
  }
}

/** The first `listed` tokens of a row; where it lists fewer, other tokens of probability 0. */
function fillListed(
  rows: DraftRows,
  row: number,
  ids: BigInt64Array,
  probs: Float32Array,
  at: number,
  listed: number,
): void {
  const known = Math.min(listed, rows.listed)
  for (let j = 0; j < known; j++) {
    ids[at + j] = BigInt(rows.listedIds[row * rows.listed + j]!)
    probs[at + j] = rows.listedProbs[row * rows.listed + j]!
  }
  if (known === listed) return
  const taken = new Set(rows.listedIds.subarray(row * rows.listed, (row + 1) * rows.listed))
  for (let j = known, id = 0; j < listed; id++) if (!taken.has(id)) ids[at + j++] = BigInt(id)
}
