import { buildRidgeProductsGraph, type FeatureHead } from '@plateau/causal-lm'
import { addProducts, embedRows, type DraftRows, type DraftTarget, type RidgeSums } from '@plateau/training'
import { float32, type FloatTensor } from './host-tensor.js'
import { loadSession, type InferenceSession } from './session.js'

const BATCH_ROWS = 512

/**
 * Adds rows to the closed form's sums by matrix products: X' diag(w) X of a batch in single precision, accumulated into
 * the sums in double. A thousand times the rate of adding rows one by one; a test compares the two.
 *
 * Rows wait until a batch is full: call `flush` before the sums are used or saved.
 */
export class RidgeAccumulator {
  readonly #session: InferenceSession
  readonly #target: DraftTarget
  readonly #token: FloatTensor
  readonly #feature: FloatTensor
  readonly #next: FloatTensor
  readonly #weights: FloatTensor
  #rows = 0

  private constructor(session: InferenceSession, target: DraftTarget) {
    const hidden = target.norm.length
    const matrix = (): FloatTensor => float32(new Float32Array(BATCH_ROWS * hidden), [BATCH_ROWS, hidden])
    this.#session = session
    this.#target = target
    this.#token = matrix()
    this.#feature = matrix()
    this.#next = matrix()
    this.#weights = float32(new Float32Array(BATCH_ROWS), [BATCH_ROWS, 1])
  }

  /** Of the head only the fixed random features matter. */
  static async create(head: FeatureHead, target: DraftTarget, threads: number): Promise<RidgeAccumulator> {
    const graph = buildRidgeProductsGraph(head.config, BATCH_ROWS, head.parameters, target.norm)
    return new RidgeAccumulator(await loadSession(graph, { threads, name: 'ridge products' }), target)
  }

  /** Rows added and not yet in the sums. */
  get waiting(): number {
    return this.#rows
  }

  async add(sums: RidgeSums, rows: DraftRows): Promise<void> {
    const hidden = this.#target.norm.length
    for (let from = 0; from < rows.length;) {
      const to = Math.min(rows.length, from + BATCH_ROWS - this.#rows)
      embedRows(this.#target, rows.tokens.subarray(from, to), this.#token.data, this.#rows)
      this.#feature.data.set(rows.features.subarray(from * hidden, to * hidden), this.#rows * hidden)
      this.#next.data.set(rows.nextFeatures.subarray(from * hidden, to * hidden), this.#rows * hidden)
      this.#weights.data.set(rows.weights.subarray(from, to), this.#rows)
      this.#rows += to - from
      from = to
      if (this.#rows === BATCH_ROWS) await this.flush(sums)
    }
  }

  async flush(sums: RidgeSums): Promise<void> {
    if (this.#rows === 0) return
    // What a shorter batch leaves in the buffers counts nothing.
    this.#weights.data.fill(0, this.#rows)
    const weight = this.#weights.data.reduce((sum, w) => sum + w, 0)
    const { gram, moment } = await this.#session.run({
      token: this.#token,
      feature: this.#feature,
      next_feature: this.#next,
      weights: this.#weights,
    })
    this.#rows = 0
    addProducts(sums, (gram as FloatTensor).data, (moment as FloatTensor).data, weight)
  }

  release(): Promise<void> {
    return this.#session.release()
  }
}
