/**
 * The closed form's sums kept apart by domain and by tenant: weighed down with age, and dropped when a tenant is to be
 * forgotten. Totals of several workers' banks add up like any sums.
 *
 * Time is counted in positions of the stream, in steps of AGE_STEP: a row that came in step s counts 2^(-(now - s) AGE_STEP
 * / halfLife) in step `now`, whichever cell it is in. Cells are brought to the present when they are touched, not before.
 * `advance` is told of every position that passes, whether its row was added or not. So what forgetting a tenant leaves is
 * what never having added its rows would have left: of the tenant nothing remains but the time its positions took.
 *
 * A bank holds at most `maxCells` cells of full size (`sumsBytes`). When one more is needed, the least weighty of the shared
 * domains becomes part of "other", or that of a tenant with several part of its own "other". Cells of different tenants are
 * never folded together: a tenant can always be forgotten exactly. Where each cell belongs to another owner, one more tenant
 * is refused.
 */
import { decaySums, emptySums, mergeSums, type RidgeSums } from './ridge-sums.js'

export interface SumKey {
  readonly domain: string
  /** Set: these rows may have to be forgotten. */
  readonly tenant?: string
}

export interface SumBankOptions {
  /** D and O of the sums. */
  readonly inputs: number
  readonly outputs: number
  /** In positions that this bank sees: W workers that share a stream take 1/W of the stream's each. */
  readonly halfLifePositions: number
  readonly maxCells: number
}

export const OTHER_DOMAIN = 'other'
const AGE_STEP = 512

interface Cell {
  readonly key: SumKey
  readonly sums: RidgeSums
  /** The step that its sums are of. */
  step: number
}

/** What a cell counts now. */
export interface SumShare {
  readonly key: SumKey
  readonly weight: number
}

/** A bank as its parts, for writing it down. */
export interface SumBankState {
  readonly options: SumBankOptions
  readonly positions: number
  readonly cells: readonly { readonly key: SumKey; readonly sums: RidgeSums }[]
}

/** Another cell was needed, and every one that is there must stay apart. */
export class SumBankFullError extends RangeError {}

export class SumBank {
  readonly options: SumBankOptions
  readonly #cells = new Map<string, Cell>()
  #positions = 0

  constructor(options: SumBankOptions) {
    const { halfLifePositions, maxCells } = options
    if (!(halfLifePositions > 0)) throw new RangeError(`half-life must be positive, got ${halfLifePositions}`)
    if (!Number.isInteger(maxCells) || maxCells < 2)
      throw new RangeError(`a bank has at least 2 cells, not ${maxCells}`)
    this.options = options
  }

  static of({ options, positions, cells }: SumBankState): SumBank {
    const bank = new SumBank(options)
    bank.#positions = positions
    for (const { key, sums } of cells) bank.add(key, sums)
    return bank
  }

  /** Positions that have passed. */
  get positions(): number {
    return this.#positions
  }

  advance(positions: number): void {
    if (!(positions >= 0)) throw new RangeError(`time does not go back: ${positions} positions`)
    this.#positions += positions
  }

  /** False: `sumsOf` this key will fold cells, and rows that wait for those (RidgeAccumulator) must be flushed first. */
  hasRoomFor(key: SumKey): boolean {
    return this.#cells.has(idOf(key)) || this.#cells.size < this.options.maxCells
  }

  /**
   * The live sums of a key as they are now, to be added to. They stay the key's own until cells are folded, its tenant is
   * forgotten or time passes: ask again for every addition. Throws SumBankFullError.
   */
  sumsOf(key: SumKey): RidgeSums {
    const known = this.#cells.get(idOf(key))
    if (known !== undefined) return this.#present(known).sums
    if (this.#cells.size >= this.options.maxCells && !this.#makeRoom()) {
      const own = [...this.#cells.values()].find((cell) => cell.key.tenant === key.tenant)
      if (own !== undefined) return this.#present(this.#asOther(own)).sums
      const message = `no cell of ${this.options.maxCells} is left for ${describe(key)}: each belongs to another tenant`
      throw new SumBankFullError(message)
    }
    // Making room may have made the very cell that was asked for: a caller's domain can be called "other", too.
    return (this.#cells.get(idOf(key)) ?? this.#newCell(key)).sums
  }

  /** Adds sums as they count now, for example those of a prior. */
  add(key: SumKey, sums: RidgeSums): void {
    mergeSums(this.sumsOf(key), sums)
  }

  /** The sums of everything: what is solved, alone or merged with other banks' totals. */
  total(): RidgeSums {
    const total = emptySums(this.options.inputs, this.options.outputs)
    for (const cell of this.#cells.values()) mergeSums(total, this.#present(cell).sums)
    return total
  }

  /** The sums of every domain, over all whose rows are in it. */
  totals(): Map<string, RidgeSums> {
    const totals = new Map<string, RidgeSums>()
    for (const cell of this.#cells.values()) {
      const { domain } = cell.key
      const total = totals.get(domain) ?? emptySums(this.options.inputs, this.options.outputs)
      totals.set(domain, total)
      mergeSums(total, this.#present(cell).sums)
    }
    return totals
  }

  /** Heaviest first. */
  get shares(): SumShare[] {
    return Array.from(this.#cells.values(), (cell) => ({ key: cell.key, weight: this.#weight(cell) })).sort(
      (a, b) => b.weight - a.weight,
    )
  }

  /** True when there was something to forget. */
  forget(tenant: string): boolean {
    const ids = [...this.#cells].filter(([, { key }]) => key.tenant === tenant).map(([id]) => id)
    for (const id of ids) this.#cells.delete(id)
    return ids.length > 0
  }

  get state(): SumBankState {
    const cells = Array.from(this.#cells.values(), (cell) => this.#present(cell))
    return { options: this.options, positions: this.#positions, cells }
  }

  get #step(): number {
    return Math.floor(this.#positions / AGE_STEP)
  }

  #present(cell: Cell): Cell {
    if (cell.step === this.#step) return cell
    decaySums(cell.sums, this.#factor(cell))
    cell.step = this.#step
    return cell
  }

  #factor({ step }: Cell): number {
    return 0.5 ** (((this.#step - step) * AGE_STEP) / this.options.halfLifePositions)
  }

  #weight(cell: Cell): number {
    return cell.sums.weight * this.#factor(cell)
  }

  #newCell(key: SumKey): Cell {
    const { inputs, outputs } = this.options
    const cell = { key, sums: emptySums(inputs, outputs), step: this.#step }
    this.#cells.set(idOf(key), cell)
    return cell
  }

  /** Two cells of the same owner become one: shared domains first, then those of a tenant with several. */
  #makeRoom(): boolean {
    const owners = new Map<string | undefined, Cell[]>()
    for (const cell of this.#cells.values()) {
      owners.set(cell.key.tenant, [...(owners.get(cell.key.tenant) ?? []), cell])
    }
    const shared = owners.get(undefined) ?? []
    const crowded = [shared, ...owners.values()].find((cells) => cells.length > 1)
    if (crowded === undefined) return false
    this.#fold(crowded)
    return true
  }

  #fold(cells: readonly Cell[]): void {
    const [least, second] = cells
      .filter(({ key }) => key.domain !== OTHER_DOMAIN)
      .sort((a, b) => this.#weight(a) - this.#weight(b))
    const other = cells.find(({ key }) => key.domain === OTHER_DOMAIN)
    const into = this.#present(other ?? this.#asOther(second!))
    mergeSums(into.sums, this.#present(least!).sums)
    this.#cells.delete(idOf(least!.key))
  }

  #asOther(cell: Cell): Cell {
    const renamed = { ...cell, key: { ...cell.key, domain: OTHER_DOMAIN } }
    this.#cells.delete(idOf(cell.key))
    this.#cells.set(idOf(renamed.key), renamed)
    return renamed
  }
}

/** Bytes of one cell of a bank. */
export function sumsBytes(inputs: number, outputs: number): number {
  return 8 * inputs * (inputs + outputs)
}

function idOf({ domain, tenant }: SumKey): string {
  return JSON.stringify([tenant ?? null, domain])
}

function describe({ domain, tenant }: SumKey): string {
  return tenant === undefined ? `domain "${domain}"` : `tenant "${tenant}", domain "${domain}"`
}
