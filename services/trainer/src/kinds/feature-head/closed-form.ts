import { featureHeadParameter, type FeatureHead } from '@plateau/causal-lm'
import { RidgeSolver, type DraftTarget } from '@plateau/inference'
import {
  featureHeadRidge,
  mergeSums,
  priorSums,
  transposed,
  type RidgePrior,
  type RidgeSums,
  type SumKey,
} from '@plateau/training'
import type { AcceptedRecord } from '../../training-record.js'
import { StreamedSums, type StreamedSumsState } from './streamed-sums.js'

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

/** What a prior's sums are kept under; no label of a caller's looks like it. */
const PRIOR_DOMAIN = '(prior)'

/** The sums of the ridge regression, by domain and tenant, kept up to date with the stream and weighed down with age. */
export class ClosedForm {
  readonly #sums: StreamedSums
  readonly #solver: RidgeSolver
  readonly #lambda: Float64Array

  private constructor(sums: StreamedSums, solver: RidgeSolver, lambda: Float64Array) {
    this.#sums = sums
    this.#solver = solver
    this.#lambda = lambda
  }

  /** `base` brings the fixed random features. Without a state the sums are empty. */
  static async open(
    base: FeatureHead,
    target: DraftTarget,
    { sumCells, ...options }: ClosedFormOptions,
    state: StreamedSumsState | undefined,
  ): Promise<ClosedForm> {
    const sums = await StreamedSums.open(base, target, { ...options, maxCells: sumCells }, state)
    const solver = await RidgeSolver.create(options)
    if (state === undefined && options.prior !== undefined) {
      const prior = await sumsOfPrior(options.prior, options.priorPositions, solver)
      const bank = await sums.bank()
      bank.add({ domain: PRIOR_DOMAIN }, prior)
    }
    return new ClosedForm(sums, solver, featureHeadRidge(base.config, options.ridgeLambda))
  }

  /** False: it is not in the sums, because each cell there is belongs to another tenant. */
  async add(window: Pick<AcceptedRecord, 'rows' | 'domain' | 'tenant'>): Promise<boolean> {
    const { rows, domain, tenant } = window
    const isAdded = await this.#sums.add(ownedBy(tenant, domain), rows)
    await this.#sums.pass(rows.length)
    return isAdded
  }

  /**
   * The input projection [H, 2H + m], as the head stores it. `others`: sums of other trainers, merged with ours. Throws
   * RangeError when the sums cannot be solved.
   */
  async solve(others: readonly RidgeSums[] = []): Promise<Float32Array> {
    const total = (await this.#sums.bank()).total()
    for (const other of others) mergeSums(total, other)
    return this.solveSums(total)
  }

  /** The same of these sums alone. */
  async solveSums(sums: RidgeSums): Promise<Float32Array> {
    const w = await this.#solver.solve(sums, this.#lambda)
    return transposed(w, sums.inputs, sums.outputs, new Float32Array(w.length))
  }

  /** As if the tenant's rows had never been added. True when there were some. */
  forget(tenant: string): Promise<boolean> {
    return this.#sums.forget(tenant)
  }

  /** Whose rows are in the sums; those without a name are one, the default tenant. */
  get tenants(): string[] {
    return this.#sums.keys.filter(({ domain }) => domain !== PRIOR_DOMAIN).map(({ tenant }) => tenant ?? '')
  }

  /** Nothing to solve. */
  get isEmpty(): boolean {
    return this.#sums.isEmpty
  }

  /** The live sums with nothing waiting: use them before the next `add`. */
  state(): Promise<StreamedSumsState> {
    return this.#sums.state()
  }

  async release(): Promise<void> {
    await this.#sums.release()
    await this.#solver.release()
  }
}

/** Who has no tenant shares the domains with everybody else who has none. */
export function ownedBy(tenant: string, domain: string): SumKey {
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
