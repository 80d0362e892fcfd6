/**
 * How many times larger the variance of a mean over positions is than if the positions were unrelated (the design effect,
 * Kish 1965): positions of one response share its text. With s_r and n_r the sum and the number of response r's values x,
 * and m the mean of all,
 *
 *   effect = sum over r of (s_r - n_r m)^2  /  sum over positions of (x - m)^2
 *
 * 1 where positions are unrelated, the response's length where they are all alike. A few responses say little of it: it
 * begins at what is usual.
 */
export class DesignEffect {
  /** Responses that may still grow, the oldest first. */
  readonly #open = new Map<string, { sum: number; count: number }>()
  #count = 0
  #sum = 0
  #squares = 0
  /** Over responses: of s^2, s n and n^2. */
  #sumSquares = 0
  #sumCounts = 0
  #countSquares = 0

  observe(x: number, response: string): void {
    const { sum, count } = this.#touch(response, x)
    this.#count++
    this.#sum += x
    this.#squares += x * x
    this.#sumSquares += (sum + x) ** 2 - sum ** 2
    this.#sumCounts += (sum + x) * (count + 1) - sum * count
    this.#countSquares += 2 * count + 1
  }

  /** 1 or more. */
  get value(): number {
    if (this.#count === 0) return USUAL_EFFECT
    const mean = this.#sum / this.#count
    const within = this.#squares - this.#count * mean ** 2
    const between = this.#sumSquares - 2 * mean * this.#sumCounts + mean ** 2 * this.#countSquares
    // Responses of equal length would say as much. One is lost to the mean.
    const responses = this.#count ** 2 / this.#countSquares
    const found = within > 0 ? between / within : 1
    return Math.max(1, (responses * found + USUAL_RESPONSES * USUAL_EFFECT) / (responses - 1 + USUAL_RESPONSES))
  }

  #touch(response: string, x: number): { readonly sum: number; readonly count: number } {
    const before = this.#open.get(response) ?? { sum: 0, count: 0 }
    this.#open.set(response, { sum: before.sum + x, count: before.count + 1 })
    if (this.#open.size > OPEN_RESPONSES) this.#open.delete(this.#open.keys().next().value!)
    return before
  }
}

/** Taken as found on so many responses, before there are any. */
const USUAL_EFFECT = 4
const USUAL_RESPONSES = 4
/** One that grows after so many others began counts as another response. */
const OPEN_RESPONSES = 256
