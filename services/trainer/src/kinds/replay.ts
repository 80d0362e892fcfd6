import { ReplayWindow, type Piece } from '@plateau/training'
import { seededRandom } from '@plateau/speculation'
import type { AcceptedRecord, RecordPlace } from '../training-record.js'

/** A record in the replay: how many steps have used each of its pieces. */
export interface ReplayedPlace extends RecordPlace {
  readonly uses: readonly number[]
}

export interface ReplayOptions {
  /** The oldest pieces leave when there are more. */
  readonly replayPositions: number
  /** Rows of a piece: what one sequence of a training step holds. */
  readonly piecePositions: number
}

export interface Drawn {
  readonly pieces: readonly Piece[]
  readonly freshPositions: number
  readonly replayedPositions: number
  readonly tenants: ReadonlySet<string>
}

interface Item {
  readonly window: AcceptedRecord
  /** Of the record's pieces, from 0. */
  readonly index: number
  readonly piece: Piece
}

const MAX_USES = 6
const REPLAY_SHARE = 0.25
/** Of the order of replay. */
const SEED = 1
/** Odd, so that steps have different seeds. */
const SEED_STRIDE = 0x9e3779b1

/**
 * Kept windows, in pieces, as gradient steps draw them. What a step draws depends on its number and on what is here, on
 * nothing else: a process that continues draws what the one before it would have drawn.
 */
export class Replay {
  readonly #options: ReplayOptions
  #window: ReplayWindow<Item>

  constructor(options: ReplayOptions) {
    this.#options = options
    this.#window = emptyWindow(options)
  }

  /** `uses`: of its pieces, in an earlier life of this process. */
  push(window: AcceptedRecord, uses: readonly number[] = []): void {
    const { rows } = window
    const { piecePositions } = this.#options
    for (let from = 0, index = 0; from < rows.length; from += piecePositions, index++) {
      const to = Math.min(rows.length, from + piecePositions)
      this.#window.push({ window, index, piece: { rows, from, to } }, to - from, uses[index] ?? 0)
    }
  }

  get positions(): number {
    return this.#window.positions
  }

  /** For step number `step`: at most `count` pieces, none when all were used as often as is good for them. */
  draw(count: number, step: number): Drawn {
    const drawn = this.#window.draw(count, seededRandom(SEED + Math.imul(step, SEED_STRIDE)))
    const sizeOf = (fresh: boolean): number =>
      drawn.filter((one) => one.fresh === fresh).reduce((sum, { size }) => sum + size, 0)
    return {
      pieces: drawn.map(({ item }) => item.piece),
      freshPositions: sizeOf(true),
      replayedPositions: sizeOf(false),
      tenants: new Set(drawn.map(({ item }) => item.window.tenant)),
    }
  }

  drop(isForgotten: (window: AcceptedRecord) => boolean): void {
    const kept = this.#window.items.filter(({ item }) => !isForgotten(item.window))
    this.#window = emptyWindow(this.#options)
    for (const { item, size, uses } of kept) this.#window.push(item, size, uses)
  }

  /** One entry per record, in the order in which they came. */
  get places(): ReplayedPlace[] {
    const places = new Map<string, { readonly place: RecordPlace; readonly uses: number[] }>()
    for (const { item, uses } of this.#window.items) {
      const { place } = item.window
      const key = `${place.partition}/${place.offset}`
      const known = places.get(key) ?? { place, uses: [] }
      known.uses[item.index] = uses
      places.set(key, known)
    }
    // A piece that has left is not drawn any more when its record comes back.
    return [...places.values()].map(({ place, uses }) => ({ ...place, uses: Array.from(uses, (n) => n ?? MAX_USES) }))
  }
}

function emptyWindow({ replayPositions: maxPositions }: ReplayOptions): ReplayWindow<Item> {
  return new ReplayWindow({ maxPositions, maxUses: MAX_USES, replayShare: REPLAY_SHARE })
}
