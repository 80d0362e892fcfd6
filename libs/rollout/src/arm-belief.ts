/**
 * What is known of one arm's acceptance on one label: a ratio of sums over responses, older ones fading. With accepted a_r,
 * judged j_r and weight w_r of response r:
 *
 *   rate = sum w a / sum w j        variance of rate = sum w^2 (a - rate j)^2 / (sum w j)^2
 *
 * (Cochran 1977, section 6.4: the response is what is drawn; its proposals are accepted together.) Five sums hold it.
 */
export class ArmBelief {
  #accepted = 0
  #judged = 0
  #acceptedSquared = 0
  #acceptedJudged = 0
  #judgedSquared = 0

  /** Judged proposals, older ones counting less. */
  get judged(): number {
    return this.#judged
  }

  get rate(): number {
    return this.#judged === 0 ? 0 : this.#accepted / this.#judged
  }

  /** Each judged proposal lets what was before fade by 1 / memory. */
  observe(accepted: number, judged: number, memory: number): void {
    const fade = (1 - 1 / memory) ** judged
    this.#accepted = this.#accepted * fade + accepted
    this.#judged = this.#judged * fade + judged
    this.#acceptedSquared = this.#acceptedSquared * fade ** 2 + accepted ** 2
    this.#acceptedJudged = this.#acceptedJudged * fade ** 2 + accepted * judged
    this.#judgedSquared = this.#judgedSquared * fade ** 2 + judged ** 2
  }

  /** The rate as if `weight` proposals at `prior` had been among it. */
  towards(prior: number, weight: number): number {
    return (this.#accepted + prior * weight) / (this.#judged + weight)
  }

  /** Standard error of `towards`. Of a few responses it says too little, so it is never below that of single proposals. */
  standardError(weight: number): number {
    const { rate } = this
    const spread = this.#acceptedSquared - 2 * rate * this.#acceptedJudged + rate ** 2 * this.#judgedSquared
    const total = this.#judged + weight
    // Laplace's rule keeps a rate of 0 or 1 from looking certain.
    const smooth = (this.#accepted + 1) / (this.#judged + 2)
    return Math.sqrt(Math.max(spread / total ** 2, (smooth * (1 - smooth)) / total))
  }
}
