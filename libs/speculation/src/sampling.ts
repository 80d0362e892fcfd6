/** How tokens are drawn: temperature, then top_k, then top_p, in this order, for the target's p and the draft's q alike. */
export interface Sampling {
  /** 0 = the most probable token (ties: lowest id). */
  readonly temperature: number
  /** Keep the topK most probable tokens; 0 = all. */
  readonly topK: number
  /** Keep the smallest most-probable set reaching topP, in (0, 1]. */
  readonly topP: number
}
