/** What a strategy may look at: per-token numbers of one window, n of each, fp32 as the scored record publishes them. */
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
  /** Log probability (natural log) of the emitted token. Empty in windows that were scored before it was published. */
  readonly tokenLogProb: Float32Array
  /** alpha = sum min(p, q). This and the next two: NaN where no draft proposed, empty where none took part. */
  readonly draftOverlap: Float32Array
  /** What alpha would gain, to first order, from one step on KL(p || q) of the draft's logits, per unit of step size. */
  readonly draftGain: Float32Array
  /** Shannon entropy of q, nats. */
  readonly draftEntropy: Float32Array
  /** V. */
  readonly vocabSize: number
  readonly perplexity: number
  /** In [0, 1), from the window's id alone. */
  readonly lot: number
  readonly sampleId: string
  /** The caller's label for the kind of traffic; may be empty. */
  readonly domain: string
}

/** Ranks windows and positions. To add one: a file here and a line in registry.ts. */
export interface Strategy {
  readonly name: string
  /** False: nothing is filtered, whatever share the rule names. */
  readonly filters: boolean
  /**
   * Higher is kept first; NaN: nothing to rank by. `before`: the windows just before it in its stream, newest first, as
   * many as there are up to WINDOWS_BEFORE.
   */
  score(window: WindowStatistics, before: readonly WindowStatistics[]): number
  /** [n], the same of single positions; NaN where there is nothing to rank by. */
  positions(window: WindowStatistics): Float32Array
}

/** The paper's code scores batches of 4. */
export const WINDOWS_BEFORE = 3
