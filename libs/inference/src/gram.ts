import {
  buildRidgeProductsGraph,
  featureHeadInputs,
  gramBlocks,
  type FeatureHead,
  type GramBlock,
} from '@plateau/causal-lm'
import { addProducts, embedRows, type DraftRows, type DraftTarget, type RidgeSums } from '@plateau/training'
import { float32, type FloatTensor } from './host-tensor.js'
import { loadSession, type InferenceSession } from './session.js'

interface Waiting {
  readonly pieces: { readonly rows: DraftRows; readonly from: number; readonly to: number }[]
  count: number
}

/**
 * Adds rows to the closed form's sums by matrix products: X' diag(w) X of a batch in single precision, accumulated into
 * the sums in double. A thousand times the rate of adding rows one by one; a test compares the two.
 *
 * Rows wait until a batch of their sums is full: call `flush` before sums are used, saved or decayed. One call at a time:
 * batches share their buffers.
 */
export class RidgeAccumulator {
  readonly #session: InferenceSession
  readonly #target: DraftTarget
  readonly #blocks: readonly GramBlock[]
  readonly #batchRows: number
  readonly #token: FloatTensor
  readonly #feature: FloatTensor
  readonly #next: FloatTensor
  readonly #weights: FloatTensor
  readonly #waiting = new Map<RidgeSums, Waiting>()

  private constructor(session: InferenceSession, target: DraftTarget, inputs: number, batchRows: number) {
    const hidden = target.norm.length
    const matrix = (): FloatTensor => float32(new Float32Array(batchRows * hidden), [batchRows, hidden])
    this.#batchRows = batchRows
    this.#session = session
    this.#target = target
    this.#blocks = gramBlocks(inputs)
    this.#token = matrix()
    this.#feature = matrix()
    this.#next = matrix()
    this.#weights = float32(new Float32Array(batchRows), [batchRows, 1])
  }

  /**
   * Of the head only the fixed random features matter. `batchRows`: of one product, which takes as long however few rows
   * of its sums wait when they are flushed.
   */
  static async create(
    head: FeatureHead,
    target: DraftTarget,
    threads: number,
    { batchRows = 1024 } = {},
  ): Promise<RidgeAccumulator> {
    const graph = buildRidgeProductsGraph(head, batchRows, target.norm)
    const session = await loadSession(graph, { threads, name: 'ridge products' })
    return new RidgeAccumulator(session, target, featureHeadInputs(head.config), batchRows)
  }

  /** Rows added and not yet in their sums. */
  get waiting(): number {
    let rows = 0
    for (const { count } of this.#waiting.values()) rows += count
    return rows
  }

  async add(sums: RidgeSums, rows: DraftRows): Promise<void> {
    const waiting = this.#waiting.get(sums) ?? { pieces: [], count: 0 }
    this.#waiting.set(sums, waiting)
    for (let from = 0; from < rows.length;) {
      const to = Math.min(rows.length, from + this.#batchRows - waiting.count)
      waiting.pieces.push({ rows, from, to })
      waiting.count += to - from
      from = to
      if (waiting.count === this.#batchRows) await this.#addBatch(sums, waiting)
    }
  }

  /** What waits for these sums, or for any. */
  async flush(sums?: RidgeSums): Promise<void> {
    for (const [into, waiting] of this.#waiting) {
      if (sums !== undefined && into !== sums) continue
      if (waiting.count > 0) await this.#addBatch(into, waiting)
      this.#waiting.delete(into)
    }
  }

  release(): Promise<void> {
    return this.#session.release()
  }

  async #addBatch(sums: RidgeSums, waiting: Waiting): Promise<void> {
    const weight = this.#fill(waiting)
    waiting.pieces.length = 0
    waiting.count = 0
    const outputs = await this.#session.run({
      token: this.#token,
      feature: this.#feature,
      next_feature: this.#next,
      weights: this.#weights,
    })
    const floats = (name: string): Float32Array => (outputs[name] as FloatTensor).data
    const parts = this.#blocks.map((block) => ({ ...block, data: floats(block.name) }))
    addProducts(sums, parts, floats('moment'), weight)
  }

  /** The sum of the weights. */
  #fill({ pieces, count }: Waiting): number {
    const hidden = this.#target.norm.length
    let row = 0
    for (const { rows, from, to } of pieces) {
      embedRows(this.#target, rows.tokens.subarray(from, to), this.#token.data, row)
      this.#feature.data.set(rows.features.subarray(from * hidden, to * hidden), row * hidden)
      this.#next.data.set(rows.nextFeatures.subarray(from * hidden, to * hidden), row * hidden)
      this.#weights.data.set(rows.weights.subarray(from, to), row)
      row += to - from
    }
    // What a fuller batch left in the buffers counts nothing.
    this.#weights.data.fill(0, count)
    return this.#weights.data.reduce((sum, w) => sum + w, 0)
  }
}
