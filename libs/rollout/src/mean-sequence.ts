/**
 * A confidence sequence for the running mean of bounded numbers: an interval that holds at every moment at once, however
 * often it is looked at and whenever one stops (anytime-valid).
 *
 * Let z_t be the numbers, scaled to [-1, 1], m_t = E[z_t | the past], and M_n = (m_1 + ... + m_n) / n. No independence and
 * no common mean is assumed: M_n, the average of the conditional means, is what the interval is about. For a wager w, a
 * guess g_t that only knows the past, and 1 + w (z_t - g_t) > 0,
 *
 *   W_n = prod_t [1 + w (z_t - g_t)] exp(w g_t - w m_t)      is a non-negative supermartingale that starts at 1,
 *
 * because E[1 + w (z_t - g_t) | past] = 1 + w (m_t - g_t) <= exp(w (m_t - g_t)). Ville's inequality: it ever reaches 1 / e
 * with probability e at most. W_n depends on the m_t through n M_n only, so every M with W_n(M) >= 1 / e is ruled out: M_n lies
 * above it. The mirrored numbers give the other side. A mean of W over several fixed wagers is a supermartingale as well.
 *
 * The wealth is that of betting (Waudby-Smith & Ramdas 2024, "Estimating means of bounded random variables by betting"),
 * which wants a constant conditional mean; with wagers that do not depend on M it holds for changing ones (Mineiro 2022,
 * "A lower confidence sequence for the changing mean of non-negative right heavy-tailed observations with bounded mean",
 * arXiv 2210.11133). It is never wider than the empirical-Bernstein sequence of the same wagers (Howard, Ramdas, McAuliffe
 * & Sekhon 2021, theorem 4), which puts a parabola below log(1 + w (z - g)) (Fan, Grama & Liu 2015).
 */
export class MeanSequence {
  readonly #centre: number
  readonly #half: number
  readonly #above = new OneSide()
  readonly #below = new OneSide()
  #count = 0
  #sum = 0
  #squares = 0

  /** Of numbers in [least, most]. */
  constructor(least: number, most: number) {
    if (!(least < most)) throw new RangeError(`[${least}, ${most}] is no range`)
    this.#centre = (least + most) / 2
    this.#half = (most - least) / 2
  }

  get count(): number {
    return this.#count
  }

  /** Of what was observed; the centre of the range before that. */
  get mean(): number {
    return this.#count === 0 ? this.#centre : this.#centre + (this.#half * this.#sum) / this.#count
  }

  /** Of a single number, about the mean so far; 0 before there are any. */
  get variance(): number {
    if (this.#count === 0) return 0
    const mean = this.#sum / this.#count
    return this.#half ** 2 * Math.max(0, this.#squares / this.#count - mean ** 2)
  }

  observe(x: number): void {
    const z = (x - this.#centre) / this.#half
    // Sums of 32-bit probabilities may come out a rounding beyond the range.
    if (!(Math.abs(z) <= 1 + ROUNDING)) throw new RangeError(`${x} is not within ${this.#centre} +- ${this.#half}`)
    const within = Math.max(-1, Math.min(1, z))
    const guess = this.#sum / (this.#count + GUESS_WEIGHT)
    this.#above.observe(within, guess)
    this.#below.observe(-within, -guess)
    this.#sum += within
    this.#squares += within ** 2
    this.#count++
  }

  /** The running mean is above `x`: said wrongly, at any time, with probability `errorRate` at most. */
  isAbove(x: number, errorRate: number): boolean {
    return this.#above.logWealth((x - this.#centre) / this.#half, this.#count) >= -Math.log(errorRate)
  }

  /** The running mean is below `x`; as isAbove. */
  isBelow(x: number, errorRate: number): boolean {
    return this.#below.logWealth((this.#centre - x) / this.#half, this.#count) >= -Math.log(errorRate)
  }

  /** What the running mean is above, as isAbove says. */
  lowerBound(errorRate: number): number {
    return this.#centre + this.#half * this.#above.bound(this.#count, errorRate)
  }

  upperBound(errorRate: number): number {
    return this.#centre - this.#half * this.#below.bound(this.#count, errorRate)
  }
}

/** Fixed wagers, halved from one to the next: some wager is within a factor 1.4 of the best for any variance and count. */
const WAGERS = Float64Array.from({ length: 12 }, (_, j) => 0.9 * 2 ** -j)
/** The largest wagers are the best for the first hundreds of numbers, where decisions fall. */
const LOG_SHARES = WAGERS.map((_, j) => Math.log(1 / (j + 1) - 1 / (j + 2)))
/** A factor of the wealth stays above this, whatever number comes: 1 + w (-1 - g) >= RUIN. */
const RUIN = 0.05
/** The guess is the mean so far, as if so many numbers at the centre had been among them. */
const GUESS_WEIGHT = 16
const BISECTIONS = 40
/** In halves of the range. */
const ROUNDING = 1e-4

/** Wealth of the bets that numbers in [-1, 1] are on average above a mean. */
class OneSide {
  /** By wager: sum over t of log(1 + w (z_t - g_t)) + w g_t. */
  readonly #logs = new Float64Array(WAGERS.length)

  observe(z: number, guess: number): void {
    for (let j = 0; j < WAGERS.length; j++) {
      const wager = WAGERS[j]!
      const bold = Math.min(guess, (1 - RUIN) / wager - 1)
      this.#logs[j]! += Math.log1p(wager * (z - bold)) + wager * bold
    }
  }

  /** Of the mixed wagers against a running mean of `mean`; it falls as `mean` rises. */
  logWealth(mean: number, count: number): number {
    let largest = Number.NEGATIVE_INFINITY
    for (let j = 0; j < WAGERS.length; j++) largest = Math.max(largest, this.#term(j, mean, count))
    let sum = 0
    for (let j = 0; j < WAGERS.length; j++) sum += Math.exp(this.#term(j, mean, count) - largest)
    return largest + Math.log(sum)
  }

  /** The largest mean in [-1, 1] below which everything is ruled out. */
  bound(count: number, errorRate: number): number {
    const needed = -Math.log(errorRate)
    let [out, open] = [-1, 1]
    if (this.logWealth(out, count) < needed) return out
    for (let i = 0; i < BISECTIONS; i++) {
      const middle = (out + open) / 2
      if (this.logWealth(middle, count) >= needed) out = middle
      else open = middle
    }
    return out
  }

  #term(j: number, mean: number, count: number): number {
    return LOG_SHARES[j]! + this.#logs[j]! - WAGERS[j]! * count * mean
  }
}
