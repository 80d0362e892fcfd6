import { Mean, OUTLIER } from './running-mean.js'

/** Steps that the level looks back on: few, because its noise is common to all numbers of positions. */
const LEVEL_MEMORY = 6
/** Steps that a shape's value looks back on: it belongs to model and machine, and hardly changes. */
const SHAPE_MEMORY = 64
/** Before two different numbers of positions were seen: a further position costs a seventh of a step. */
const DEFAULT_SLOPE = 1 / 7

/**
 * Time of a target step by its number of positions S, learned as level * shape(S): the level follows the machine's load
 * within some steps, and any S shows it; the shape is kept for each S. So what is known of an S that was not tried for
 * long stays right when everything becomes slower. Nothing is assumed of the shape: on a real model the second position
 * may be free and the third not.
 */
export class StepTimes {
  readonly #shape: Mean[]
  readonly #level = new Mean()

  constructor(maxPositions: number) {
    this.#shape = Array.from({ length: maxPositions }, () => new Mean())
  }

  timed(positions: number): boolean {
    return this.#shape[positions - 1]!.weight > 0
  }

  observe(positions: number, us: number): void {
    const expected = this.#shapeAt(positions)
    const known = this.#level.weight > 0
    const counted = known ? Math.min(us, OUTLIER * expected * this.#level.value) : us
    this.#level.observe(counted / expected, LEVEL_MEMORY)
    this.#shape[positions - 1]!.observe(counted / this.#level.value, SHAPE_MEMORY)
  }

  /** Microseconds. Meaningful once one step was timed. */
  at(positions: number): number {
    return this.#level.value * this.#shapeAt(positions)
  }

  /** The number of positions, up to `most`, that was seen least, and how much; ties: the smallest. */
  leastSeen(most: number): { readonly positions: number; readonly weight: number } {
    let least = { positions: 1, weight: this.#shape[0]!.weight }
    for (let positions = 2; positions <= Math.min(most, this.#shape.length); positions++) {
      const { weight } = this.#shape[positions - 1]!
      if (weight < least.weight) least = { positions, weight }
    }
    return least
  }

  #shapeAt(positions: number): number {
    return this.#shape[positions - 1]!.towards(this.#between(positions), 1)
  }

  /** From the nearest numbers of positions that were seen on both sides, or along the line to the furthest one. */
  #between(positions: number): number {
    const seen = (step: number): number => {
      let s = positions + step
      while (s >= 1 && s <= this.#shape.length && this.#shape[s - 1]!.weight === 0) s += step
      return s
    }
    const value = (s: number): number => this.#shape[s - 1]!.value
    const [below, above] = [seen(-1), seen(1)]
    if (below >= 1 && above <= this.#shape.length) {
      return value(below) + ((value(above) - value(below)) * (positions - below)) / (above - below)
    }
    if (below >= 1) return value(below) + this.#slope(below) * (positions - below)
    if (above <= this.#shape.length) return value(above) / (1 + DEFAULT_SLOPE * (above - positions))
    return 1 + DEFAULT_SLOPE * (positions - 1)
  }

  /** Of a further position after the last that was seen, from the first that was seen. */
  #slope(last: number): number {
    const first = this.#shape.findIndex(({ weight }) => weight > 0) + 1
    const value = (s: number): number => this.#shape[s - 1]!.value
    if (first === last) return value(last) * DEFAULT_SLOPE
    return Math.max(0, (value(last) - value(first)) / (last - first))
  }
}
