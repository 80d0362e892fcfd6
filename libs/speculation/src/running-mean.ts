/** Observations that an estimate of a time looks back on. */
export const TIME_MEMORY = 16
/** A step this many times slower than usual was disturbed (a pause, a page fault) and counts as this much. */
export const OUTLIER = 3

/** Exponentially weighted mean that knows how much it has seen. */
export class Mean {
  value = 0
  weight = 0

  observe(x: number, memory: number): void {
    this.fade(memory)
    this.weight += 1
    this.value += (x - this.value) / this.weight
  }

  observeTime(us: number): void {
    this.observe(this.weight === 0 ? us : Math.min(us, OUTLIER * this.value), TIME_MEMORY)
  }

  fade(memory: number): void {
    this.weight *= 1 - 1 / memory
  }

  /** The mean as if `priorWeight` observations of `prior` had been among it. */
  towards(prior: number, priorWeight: number): number {
    return (this.weight * this.value + priorWeight * prior) / (this.weight + priorWeight)
  }
}

/** Numbers that may each hold a wait; fewer say nothing of the least. */
const LEAST_OF = 8

/** The least of recent numbers: each one that is not lower lets it rise by a hundredth. */
export class Least {
  #value = Number.POSITIVE_INFINITY
  #count = 0

  observe(x: number): void {
    this.#value = Math.min(x, this.#value * 1.01 + 1e-3)
    this.#count++
  }

  get value(): number | undefined {
    return this.#count < LEAST_OF ? undefined : this.#value
  }
}
