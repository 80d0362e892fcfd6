import type { FeatureHead } from '@plateau/causal-lm'
import { binCount, binsOf, type BinEdges } from '@plateau/flatness'
import type { DraftTarget } from '@plateau/inference'
import { emptySums, pickRows, type RidgeSums } from '@plateau/training'
import type { AcceptedRecord } from '../../training-record.js'
import { ownedBy } from './closed-form.js'
import { StreamedSums, type StreamedSumsState } from './streamed-sums.js'

export interface BinSumsOptions {
  readonly bins: BinEdges
  readonly halfLifePositions: number
  readonly threads: number
}

/** The first two that come, the default tenant being one. Rows of others are not learned from. */
const MOST_OWNERS = 2
/** Small: a window's rows spread over the bins, and every flush takes a product for each of them. */
const BATCH_ROWS = 256

/** Cells of full size that bins take at most. */
export function mostBinCells(bins: BinEdges): number {
  return MOST_OWNERS * binCount(bins)
}

/**
 * Sums of the closed form by bin, each row counting 1 whatever the scorer says: what weights of bins are learned from.
 * Tenants are kept apart as there, the past is weighed down as there, domains are one.
 */
export class BinSums {
  readonly #bins: BinEdges
  readonly #head: Pick<FeatureHead, 'config'>
  readonly #sums: StreamedSums
  readonly #owners: Set<string>

  private constructor(bins: BinEdges, head: Pick<FeatureHead, 'config'>, sums: StreamedSums, owners: Iterable<string>) {
    this.#bins = bins
    this.#head = head
    this.#sums = sums
    this.#owners = new Set(owners)
  }

  static async open(
    base: FeatureHead,
    target: DraftTarget,
    { bins, ...options }: BinSumsOptions,
    state: StreamedSumsState | undefined,
  ): Promise<BinSums> {
    const streamed = { ...options, maxCells: mostBinCells(bins), batchRows: BATCH_ROWS }
    const owners = state?.bank.cells.map(({ key }) => key.tenant ?? '') ?? []
    return new BinSums(bins, base, await StreamedSums.open(base, target, streamed, state), owners)
  }

  async add(window: AcceptedRecord): Promise<void> {
    if (this.#isOwner(window.tenant)) await this.#addRows(window)
    await this.#sums.pass(window.rows.length)
  }

  /** Of each bin over all tenants; new arrays. */
  async totals(): Promise<RidgeSums[]> {
    const bank = await this.#sums.bank()
    const { inputs, outputs } = bank.options
    const totals = bank.totals()
    return Array.from({ length: binCount(this.#bins) }, (_, bin) => {
      return totals.get(String(bin)) ?? emptySums(inputs, outputs)
    })
  }

  /** As if the tenant's rows had never been added. True when there were some. */
  forget(tenant: string): Promise<boolean> {
    this.#owners.delete(tenant)
    return this.#sums.forget(tenant)
  }

  /** Live sums: use them before the next `add`. */
  state(): Promise<StreamedSumsState> {
    return this.#sums.state()
  }

  release(): Promise<void> {
    return this.#sums.release()
  }

  #isOwner(tenant: string): boolean {
    if (this.#owners.size < MOST_OWNERS) this.#owners.add(tenant)
    return this.#owners.has(tenant)
  }

  async #addRows({ rows, tenant, flatness, draftOverlap }: AcceptedRecord): Promise<void> {
    const { vocabSize } = this.#head.config
    const ofBins = Array.from({ length: binCount(this.#bins) }, (): number[] => [])
    binsOf(this.#bins, { flatness, draftOverlap, vocabSize }).forEach((bin, row) => ofBins[bin]!.push(row))
    for (const [bin, picked] of ofBins.entries()) {
      if (picked.length > 0) await this.#sums.add(ownedBy(tenant, String(bin)), pickRows(rows, picked))
    }
  }
}
