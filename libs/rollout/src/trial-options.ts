export interface TrialOptions {
  /** How much lower a version's mean alpha may be than that of the live one, in (0, 1). */
  readonly margin: number
  /** How much lower its acceptance may be, in (0, 1). */
  readonly acceptanceMargin: number
  /**
   * Of being called worse at any time of a version's life although it never is, by all comparisons together. A canary that ends
   * undecided goes by its point estimate and that one's standard error, which promise less.
   */
  readonly errorRate: number
  /** Of being called not worse although it is. */
  readonly falsePromotion: number
  /** Live positions that a shadow ends after; a point estimate over fewer decides nothing. */
  readonly shadowPositions: number
  /** Finished requests that a canary ends after. */
  readonly canaryRequests: number
  /** A shadow, and a canary, last so long at most. */
  readonly stageMs: number
  /** Positions, or judged proposals, after which the watch begins anew. */
  readonly watchPositions: number
}

export const standardTrial: TrialOptions = {
  margin: 0.03,
  acceptanceMargin: 0.1,
  errorRate: 0.01,
  falsePromotion: 0.05,
  shadowPositions: 128,
  canaryRequests: 200,
  stageMs: 30_000,
  watchPositions: 2_000,
}
