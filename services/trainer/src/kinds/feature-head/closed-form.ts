import { featureHeadInputs, featureHeadParameter, type FeatureHead } from '@plateau/causal-lm'
import { RidgeAccumulator, RidgeSolver, type DraftTarget } from '@plateau/inference'
import {
  featureHeadRidge,
  mergeSums,
  priorSums,
  SumBank,
  SumBankFullError,
  type RidgePrior,
  type RidgeSums,
  type SumBankState,
  type SumKey,
} from '@plateau/training'
import type { AcceptedRecord } from '../../training-record.js'

export interface ClosedFormOptions {
  readonly ridgeLambda: number
  readonly halfLifePositions: number
  /** Domains and tenants whose sums are kept apart. */
  readonly sumCells: number
  readonly threads: number
  /** What it knows before it has seen anything. */
  readonly prior?: ClosedFormPrior | undefined
  /** As how many of them that counts. */
  readonly priorPositions: number
}

export interface ClosedFormPrior {
  readonly prior: RidgePrior
  /** What was solved with it. */
  readonly head: FeatureHead
}

/** Positions between two looks at the clock: rows are added in batches, and the past is weighed down in small steps. */
const ADVANCE_EVERY = 2048

/** What a prior's sums are kept under; no label of a caller's looks like it. */
const PRIOR_DOMAIN = '(prior)'

/** What has to be saved: the sums and the positions that they do not know of yet. */
export interface ClosedFormState {
  readonly bank: SumBankState
  readonly sinceAdvance: number
}

/** The sums of the ridge regression, by domain and tenant, kept up to date with the stream and weighed down with age. */
export class ClosedForm {
  readonly #accumulator: RidgeAccumulator
  readonly #solver: RidgeSolver
  readonly #lambda: Float64Array
  readonly #bank: SumBank
  #sinceAdvance: number

  private constructor(
    accumulator: RidgeAccumulator,
    solver: RidgeSolver,
    lambda: Float64Array,
    bank: SumBank,
    sinceAdvance: number,
  ) {
    this.#accumulator = accumulator
    this.#solver = solver
    this.#lambda = lambda
    this.#bank = bank
    this.#sinceAdvance = sinceAdvance
  }

  /** `base` brings the fixed random features. Without a state the sums are empty. */
  static async open(
    base: FeatureHead,
    target: DraftTarget,
    options: ClosedFormOptions,
    state: ClosedFormState | undefined,
  ): Promise<ClosedForm> {
    const { ridgeLambda, halfLifePositions, sumCells: maxCells, threads } = options
    const [inputs, outputs] = [featureHeadInputs(base.config), base.config.hiddenSize]
    const lambda = featureHeadRidge(base.config, ridgeLambda)
    const bankOptions = { inputs, outputs, halfLifePositions, maxCells }
    const bank = state === undefined ? new SumBank(bankOptions) : SumBank.of({ ...state.bank, options: bankOptions })
    const accumulator = await RidgeAccumulator.create(base, target, threads)
    const solver = await RidgeSolver.create({ threads })
    if (state === undefined && options.prior !== undefined) {
      bank.add({ domain: PRIOR_DOMAIN }, await sumsOfPrior(options.prior, options.priorPositions, solver))
    }
    return new ClosedForm(accumulator, solver, lambda, bank, state?.sinceAdvance ?? 0)
  }

  /** False: it is not in the sums, because each cell there is belongs to another tenant. */
  async add(window: Pick<AcceptedRecord, 'rows' | 'domain' | 'tenant'>): Promise<boolean> {
    const sums = await this.#sumsOf(keyOf(window))
    if (sums !== undefined) await this.#accumulator.add(sums, window.rows)
    this.#sinceAdvance += window.rows.length
    if (this.#sinceAdvance >= ADVANCE_EVERY) {
      await this.#accumulator.flush()
      this.#bank.advance(this.#sinceAdvance)
      this.#sinceAdvance = 0
    }
    return sums !== undefined
  }

  /**
   * The input projection [H, 2H + m], as the head stores it. `others`: sums of other trainers, merged with ours. Throws
   * RangeError when the sums cannot be solved.
   */
  async solve(others: readonly RidgeSums[] = []): Promise<Float32Array> {
    await this.#accumulator.flush()
    const total = this.#bank.total()
    for (const other of others) mergeSums(total, other)
    const { inputs, outputs } = total
    const w = await this.#solver.solve(total, this.#lambda)
    return transposed(w, inputs, outputs, new Float32Array(w.length))
  }

  /** As if the tenant's rows had never been added. True when there were some. */
  async forget(tenant: string): Promise<boolean> {
    await this.#accumulator.flush()
    return this.#bank.forget(tenant)
  }

  /** Nothing to solve. */
  get isEmpty(): boolean {
    return this.#accumulator.waiting === 0 && this.#bank.shares.every(({ weight }) => weight === 0)
  }

  /** The live sums with nothing waiting: use them before the next `add`. */
  async state(): Promise<ClosedFormState> {
    await this.#accumulator.flush()
    return { bank: this.#bank.state, sinceAdvance: this.#sinceAdvance }
  }

  async release(): Promise<void> {
    await this.#accumulator.release()
    await this.#solver.release()
  }

  async #sumsOf(key: SumKey): Promise<RidgeSums | undefined> {
    if (!this.#bank.hasRoomFor(key)) await this.#accumulator.flush()
    try {
      return this.#bank.sumsOf(key)
    } catch (error) {
      if (error instanceof SumBankFullError) return undefined
      throw error
    }
  }
}

/** Who has no tenant shares the domains with everybody else who has none. */
function keyOf({ domain, tenant }: Pick<AcceptedRecord, 'domain' | 'tenant'>): SumKey {
  return tenant === '' ? { domain } : { domain, tenant }
}

async function sumsOfPrior(
  { prior, head }: ClosedFormPrior,
  positions: number,
  solver: RidgeSolver,
): Promise<RidgeSums> {
  const { hiddenSize: outputs } = head.config
  const sums = priorSums(prior, outputs, positions)
  const projection = featureHeadParameter(head, 'fc.weight')
  const w = transposed(projection, outputs, prior.inputs, new Float64Array(projection.length))
  sums.moment.set(await solver.moment(sums, w))
  return sums
}

/** [rows, columns] to [columns, rows]. */
function transposed<T extends Float32Array | Float64Array>(
  from: Float32Array | Float64Array,
  rows: number,
  columns: number,
  into: T,
): T {
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) into[j * rows + i] = from[i * columns + j]!
  return into
}
