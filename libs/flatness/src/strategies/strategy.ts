/** What a strategy may look at: per-token numbers of one window, n of each, as the scored record publishes them. */
export interface WindowStatistics {
  readonly flatness: Float32Array
  /** Nats. */
  readonly entropy: Float32Array
  /** Probability of the most probable token. */
  readonly top1: Float32Array
  /** Most probable minus second most probable. */
  readonly margin: Float32Array
  /** -log sum exp(logits). */
  readonly energy: Float32Array
  readonly perplexity: number
  /** In [0, 1), from the window's id alone. */
  readonly lot: number
}

/** Ranks windows. To add one: a file here and a line in registry.ts. */
export interface Strategy {
  readonly name: string
  /** False: nothing is filtered, whatever share the policy names. */
  readonly filters: boolean
  /** Higher is kept first. Any number but NaN. */
  score(window: WindowStatistics): number
}
