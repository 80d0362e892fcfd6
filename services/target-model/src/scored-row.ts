import type { StepRows } from '@plateau/inference'
import {
  denseTargetRow,
  KnownLogits,
  lazyTargetRow,
  topKTargetRow,
  transformLogits,
  type LogitLists,
  type Sampling,
  type TargetRow,
} from '@plateau/speculation'

/**
 * Below this the step's log-sum-exp at the request's temperature, a 32-bit number near logit / temperature, is too
 * coarse to divide by; such rows are taken from all logits, in double precision.
 */
const COARSE_BELOW = 0.1

/** Whether p at this temperature is computed by the step's log-sum-exp at it. */
export function readsScaledLogSumExp(temperature: number): boolean {
  return temperature >= COARSE_BELOW
}

/** What one step says about p at one position. */
export class ScoredRow {
  readonly topIds: Int32Array
  readonly topLogits: Float32Array
  readonly logSumExp: number
  readonly scaledLogSumExp: number
  readonly sumSquares: number
  readonly entropy: number
  /** The hidden state that this p was computed from. */
  readonly feature: Float32Array
  readonly #candidateIds: readonly number[]
  readonly #candidateLogits: ArrayLike<number>
  readonly #known: KnownLogits
  readonly #computeLogits: (feature: Float32Array) => Promise<Float32Array>
  #logits: Promise<Float32Array> | undefined

  constructor(
    rows: StepRows,
    index: number,
    candidateIds: readonly number[],
    computeLogits: (feature: Float32Array) => Promise<Float32Array>,
  ) {
    const { topK } = rows
    const hiddenSize = rows.hidden.length / rows.count
    this.topIds = rows.topIds.subarray(index * topK, (index + 1) * topK)
    this.topLogits = rows.topLogits.subarray(index * topK, (index + 1) * topK)
    this.logSumExp = rows.logSumExp[index]!
    this.scaledLogSumExp = rows.scaledLogSumExp[index]!
    this.sumSquares = rows.sumSquares[index]!
    this.entropy = rows.entropy[index]!
    this.feature = rows.hidden.subarray(index * hiddenSize, (index + 1) * hiddenSize)
    this.#candidateIds = candidateIds
    this.#candidateLogits = rows.candidateLogits[index] ?? []
    this.#computeLogits = computeLogits
    this.#known = new KnownLogits(this.#listed)
  }

  /** p after the request's sampling. `ahead`: the proposed tokens before this position. */
  target(sampling: Sampling, vocabSize: number, ahead: readonly number[]): TargetRow {
    if (sampling.temperature > 0 && !readsScaledLogSumExp(sampling.temperature)) {
      return lazyTargetRow(async () => denseTargetRow(transformLogits(await this.fullLogits(), sampling, ahead)))
    }
    const source = {
      ...this.#listed,
      vocabSize,
      logSumExp: this.scaledLogSumExp,
      fullLogits: () => this.fullLogits(),
    }
    return topKTargetRow(source, sampling, ahead)
  }

  fullLogits(): Promise<Float32Array> {
    return (this.#logits ??= this.#computeLogits(this.feature))
  }

  /** Raw log probability, natural log. Looks further than the step's own answer only for a token beyond it. */
  async logProb(id: number): Promise<number> {
    return (this.#known.of(id) ?? (await this.fullLogits())[id]!) - this.logSumExp
  }

  /** Raw probability of a token that is listed or was a candidate of the step; undefined for others. */
  listedProb(id: number): number | undefined {
    const logit = this.#known.of(id)
    return logit === undefined ? undefined : Math.exp(logit - this.logSumExp)
  }

  get #listed(): LogitLists {
    const { topIds, topLogits } = this
    return { topIds, topLogits, candidateIds: this.#candidateIds, candidateLogits: this.#candidateLogits }
  }
}
