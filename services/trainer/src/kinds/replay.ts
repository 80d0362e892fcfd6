import { ReplayWindow, type Piece } from '@plateau/training'
import { seededRandom } from '@plateau/speculation'
import type { AcceptedRecord, RecordPlace } from '../training-record.js'
import { armsOf, weightsFor } from './rule-arms.js'

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
  readonly arms: ReadonlySet<string>
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
 * Windows that a rule in force or under trial has kept, in pieces, as gradient steps draw them. What a step draws depends on
 * its number, its arm and on what is here, on nothing else: a process that continues draws what the one before it would
 * have drawn.
 */
export class Replay {
  readonly #options: ReplayOptions
  #window: ReplayWindow<Item>

  constructor(options: ReplayOptions) {
    this.#options = options
    this.#window = emptyWindow(options)
  }

  /** False: no rule has kept it. `uses`: of its pieces, in an earlier life of this process. */
  push(window: AcceptedRecord, uses: readonly number[] = []): boolean {
    const { rows } = window
    const { piecePositions } = this.#options
    const arms = armsOf(window)
    if (arms.size === 0) return false
    for (let from = 0, index = 0; from < rows.length; from += piecePositions, index++) {
      const to = Math.min(rows.length, from + piecePositions)
      this.#window.push({ window, arms, index, piece: { rows, from, to } }, to - from, uses[index] ?? 0)
    }
    return true
  }

  get positions(): number {
    return this.#window.positions
  }

  /** How often pieces can still be used in steps of an arm; of those of `arms` that can use any. */
  usesLeft(arms: readonly string[]): Map<string, number> {
    const left = new Map<string, number>()
    for (const { item, uses } of this.#window.items) {
      for (const arm of uses < MAX_USES ? arms : []) {
        if (serves(item, arm)) left.set(arm, (left.get(arm) ?? 0) + MAX_USES - uses)
      }
    }
    return left
  }

  /**
   * For step number `step` of an arm (undefined: of whatever was decided to be kept): at most `count` pieces, none when all
   * were used as often as is good for them.
   */
  draw(count: number, step: number, arm?: string): Drawn {
    const random = seededRandom(SEED + Math.imul(step, SEED_STRIDE))
    const drawn = this.#window.draw(count, random, (item) => serves(item, arm))
    const sizeOf = (fresh: boolean): number =>
      drawn.filter((one) => one.fresh === fresh).reduce((sum, { size }) => sum + size, 0)
    return {
      pieces: drawn.map(({ item }) => weighted(item, arm)),
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

/** Rows that count nothing are context: a piece of nothing else is not drawn. */
function serves({ window, arms, piece }: Item, arm: string | undefined): boolean {
  if (arm === undefined ? !window.keep : !arms.has(arm)) return false
  const weights = weightsFor(window, arm)
  return weights === undefined || weights.subarray(piece.from, piece.to).some((weight) => weight > 0)
}

function weighted({ window, piece }: Item, arm: string | undefined): Piece {
  const weights = weightsFor(window, arm)
  return weights === undefined ? piece : { ...piece, weights }
}

function emptyWindow({ replayPositions: maxPositions }: ReplayOptions): ReplayWindow<Item> {
  return new ReplayWindow({ maxPositions, maxUses: MAX_USES, replayShare: REPLAY_SHARE })
}
