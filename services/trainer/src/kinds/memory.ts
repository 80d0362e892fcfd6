/** The most bytes that a learner's larger parts take, from its configuration. */
export interface MemoryBounds {
  /** Of the closed form, the copy that a solve works on included. */
  readonly sums: number
  /** Of the closed form by bin, while weights are learned. */
  readonly weight_learning?: number
  readonly replay: number
  /** Counts of tokens, by tenant. */
  readonly counts: number
  /** Parameters, gradients and moments, with the copy known to be good. */
  readonly optimizer: number
  /** The target's embeddings and output head. */
  readonly target: number
}

/** What target-model lists of a position at most. */
const LISTED_TOKENS = 128
const FLOAT = 4

/**
 * Of a position in a window: the states before and at it [H] each, listed ids and probabilities; token, both weights,
 * flatness and draft overlap.
 */
export function positionBytes(hiddenSize: number): number {
  return FLOAT * (2 * hiddenSize + 2 * LISTED_TOKENS + 5)
}

/**
 * Eight numbers a parameter: it, its gradient and both moments; three of these as they were known to be good; and what it was
 * before the turn of a keep rule.
 */
export function optimizerBytes(shapes: Iterable<readonly number[]>): number {
  let parameters = 0
  for (const shape of shapes) parameters += shape.reduce((product, length) => product * length, 1)
  return 8 * FLOAT * parameters
}
