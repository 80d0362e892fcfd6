import { featureHeadInputs, type FeatureHead } from '@plateau/causal-lm'
import { RidgeAccumulator, type DraftRows, type DraftTarget } from '@plateau/inference'
import { SumBank, SumBankFullError, type RidgeSums, type SumBankState, type SumKey } from '@plateau/training'

export interface StreamedSumsOptions {
  readonly halfLifePositions: number
  readonly maxCells: number
  readonly threads: number
  /** See RidgeAccumulator. */
  readonly batchRows?: number
}

/** What has to be saved: the sums and the positions that they do not know of yet. */
export interface StreamedSumsState {
  readonly bank: SumBankState
  readonly sinceAdvance: number
}

/** Positions between two looks at the clock: rows are added in batches, and the past is weighed down in small steps. */
const ADVANCE_EVERY = 2048

/** A bank of sums that the stream's rows are added to in batches, and whose time is the stream's. */
export class StreamedSums {
  readonly #accumulator: RidgeAccumulator
  readonly #bank: SumBank
  #sinceAdvance: number

  private constructor(accumulator: RidgeAccumulator, bank: SumBank, sinceAdvance: number) {
    this.#accumulator = accumulator
    this.#bank = bank
    this.#sinceAdvance = sinceAdvance
  }

  /** `base` brings the fixed random features. Without a state the sums are empty. */
  static async open(
    base: FeatureHead,
    target: DraftTarget,
    { halfLifePositions, maxCells, threads, batchRows }: StreamedSumsOptions,
    state: StreamedSumsState | undefined,
  ): Promise<StreamedSums> {
    const [inputs, outputs] = [featureHeadInputs(base.config), base.config.hiddenSize]
    const options = { inputs, outputs, halfLifePositions, maxCells }
    const bank = state === undefined ? new SumBank(options) : SumBank.of({ ...state.bank, options })
    const batch = batchRows === undefined ? {} : { batchRows }
    const accumulator = await RidgeAccumulator.create(base, target, threads, batch)
    return new StreamedSums(accumulator, bank, state?.sinceAdvance ?? 0)
  }

  /** False: it is not in the sums, because each cell there is belongs to another tenant. */
  async add(key: SumKey, rows: DraftRows): Promise<boolean> {
    const sums = await this.#sumsOf(key)
    if (sums !== undefined) await this.#accumulator.add(sums, rows)
    return sums !== undefined
  }

  /** Time passes, for rows that were added and for those that were not. */
  async pass(positions: number): Promise<void> {
    this.#sinceAdvance += positions
    if (this.#sinceAdvance < ADVANCE_EVERY) return
    await this.#accumulator.flush()
    this.#bank.advance(this.#sinceAdvance)
    this.#sinceAdvance = 0
  }

  /** With nothing waiting: use it before the next `add`. */
  async bank(): Promise<SumBank> {
    await this.#accumulator.flush()
    return this.#bank
  }

  /** Of all cells, also where rows still wait to be added. */
  get keys(): SumKey[] {
    return this.#bank.shares.map(({ key }) => key)
  }

  /** Nothing to solve. */
  get isEmpty(): boolean {
    return this.#accumulator.waiting === 0 && this.#bank.shares.every(({ weight }) => weight === 0)
  }

  /** As if the tenant's rows had never been added. True when there were some. */
  async forget(tenant: string): Promise<boolean> {
    return (await this.bank()).forget(tenant)
  }

  /** The live sums with nothing waiting: use them before the next `add`. */
  async state(): Promise<StreamedSumsState> {
    return { bank: (await this.bank()).state, sinceAdvance: this.#sinceAdvance }
  }

  release(): Promise<void> {
    return this.#accumulator.release()
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
