import type { DraftRows } from '@plateau/inference'
import { pairedGain, type PairedGain } from '@plateau/training'
import { LEAST_COMPARED_POSITIONS } from '../held-back.js'
import { positionsOf } from '../recent-windows.js'

/** Trained numbers of a draft, by name. */
export type Parameters = ReadonlyMap<string, Float32Array>

/** Says what steps have gained. */
export interface Judge {
  /** Held out from the draft's training until now. */
  readonly windows: readonly DraftRows[]
  /** Alpha of every row of the windows by the draft with these numbers, as it would be published. */
  alpha(this: void, parameters: Parameters): Promise<ArrayLike<number>>
}

export interface RuleTurnFacts {
  readonly arm: string
  /** Taken so far. */
  readonly steps: number
  /** Trained on, as often as they were. */
  readonly positions: number
}

/** Gains are said per so many trained positions. */
const PER_POSITIONS = 10_000

/**
 * Steps on the windows of one arm, and what they gain. The draft before them is kept as numbers, not as scores: both are
 * judged at the end, on what is held out then, and what the closed form has moved meanwhile is added to it, so that only
 * steps make the difference.
 */
export class RuleTurn {
  readonly arm: string
  /** Live: changed by `moved`. */
  readonly before: Parameters
  #steps: number
  #positions: number

  /** `before`: its own copy. */
  constructor({ arm, steps, positions }: RuleTurnFacts, before: Parameters) {
    this.arm = arm
    this.before = before
    this.#steps = steps
    this.#positions = positions
  }

  get facts(): RuleTurnFacts {
    return { arm: this.arm, steps: this.#steps, positions: this.#positions }
  }

  /** `positions`: that a step has counted. Returns how many steps there were. */
  stepped(positions: number): number {
    this.#positions += positions
    return ++this.#steps
  }

  moved(changes: Parameters): void {
    for (const [name, change] of changes) {
      const values = this.before.get(name)
      if (values !== undefined) for (let i = 0; i < values.length; i++) values[i]! += change[i]!
    }
  }

  /** In alpha per 10,000 trained positions; undefined where too little is held out to tell, or nothing was trained on. */
  async gain(after: Parameters, { windows, alpha }: Judge): Promise<PairedGain | undefined> {
    const isEnough = windows.length >= 2 && positionsOf(windows) >= LEAST_COMPARED_POSITIONS
    if (this.#positions === 0 || !isEnough) return undefined
    const lengths = windows.map(({ length }) => length)
    const { gain, standardError } = pairedGain(await alpha(after), await alpha(this.before), lengths)
    const scale = PER_POSITIONS / this.#positions
    return { gain: gain * scale, standardError: standardError * scale }
  }
}
