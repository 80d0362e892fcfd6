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
}

interface Item {
  readonly place: RecordPlace
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
  readonly #window: ReplayWindow<Item>

  constructor(options: ReplayOptions) {
    this.#options = options
    const { replayPositions: maxPositions } = options
    this.#window = new ReplayWindow({ maxPositions, maxUses: MAX_USES, replayShare: REPLAY_SHARE })
  }

  /** `uses`: of its pieces, in an earlier life of this process. */
  push({ place, rows }: AcceptedRecord, uses: readonly number[] = []): void {
    const { piecePositions } = this.#options
    for (let from = 0, index = 0; from < rows.length; from += piecePositions, index++) {
      const to = Math.min(rows.length, from + piecePositions)
      this.#window.push({ place, index, piece: { rows, from, to } }, to - from, uses[index] ?? 0)
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
    }
  }

  /** One entry per record, in the order in which they came. */
  get places(): ReplayedPlace[] {
    const places = new Map<string, { readonly place: RecordPlace; readonly uses: number[] }>()
    for (const { item, uses } of this.#window.items) {
      const key = `${item.place.partition}/${item.place.offset}`
      const known = places.get(key) ?? { place: item.place, uses: [] }
      known.uses[item.index] = uses
      places.set(key, known)
    }
    // A piece that has left is not drawn any more when its record comes back.
    return [...places.values()].map(({ place, uses }) => ({ ...place, uses: Array.from(uses, (n) => n ?? MAX_USES) }))
  }
}
