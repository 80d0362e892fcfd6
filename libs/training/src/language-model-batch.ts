/** Batches as buildTrainGraph's graph takes them: sequences one after another, a row per position. */
export interface LanguageModelBatch {
  readonly sequences: number
  readonly positions: number
  readonly targetsPerRow: number
  /** [N] */
  readonly inputIds: BigInt64Array
  /** [N, k] */
  readonly targetIds: BigInt64Array
  /** [N, k] */
  readonly targetProbs: Float32Array
  /** [N]; sums to 1 for a mean loss. */
  readonly rowWeights: Float32Array
}

/** Predict the next token of plain text. Each run has one token more than a sequence has positions. */
export function nextTokenBatch(runs: readonly ArrayLike<number>[], positions: number): LanguageModelBatch {
  const rows = runs.length * positions
  const inputIds = new BigInt64Array(rows)
  const targetIds = new BigInt64Array(rows)
  runs.forEach((run, sequence) => {
    if (run.length !== positions + 1) throw new RangeError(`a run needs ${positions + 1} tokens, got ${run.length}`)
    for (let i = 0; i < positions; i++) {
      inputIds[sequence * positions + i] = BigInt(run[i]!)
      targetIds[sequence * positions + i] = BigInt(run[i + 1]!)
    }
  })
  return {
    sequences: runs.length,
    positions,
    targetsPerRow: 1,
    inputIds,
    targetIds,
    targetProbs: new Float32Array(rows).fill(1),
    rowWeights: new Float32Array(rows).fill(1 / rows),
  }
}

/**
 * Cuts `tokens` into runs of `length` and returns them in a random order, each once per epoch; every epoch cuts at
 * another offset. Endless. The same random numbers give the same runs.
 */
export function* shuffledRuns(
  tokens: Uint16Array,
  length: number,
  random: () => number,
): Generator<Uint16Array, never, undefined> {
  if (tokens.length < 2 * length) throw new RangeError(`runs of ${length} need more text than ${tokens.length} tokens`)
  for (;;) {
    const offset = Math.floor(random() * length)
    const order = shuffled(Math.floor((tokens.length - offset) / length), random)
    for (const run of order) yield tokens.subarray(offset + run * length, offset + (run + 1) * length)
  }
}

/** Fisher-Yates. */
function shuffled(count: number, random: () => number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const other = Math.floor(random() * (i + 1))
    const kept = order[i]!
    order[i] = order[other]!
    order[other] = kept
  }
  return order
}
