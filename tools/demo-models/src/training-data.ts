import type { Random } from '@plateau/speculation'
import { nextTokenBatch, shuffledRuns, type LanguageModelBatch } from '@plateau/training'
import type { Corpus, TokenDomain } from './corpus.js'

export interface BatchShape {
  readonly sequences: number
  readonly positions: number
}

/** Endless batches of training text, in which every domain has the same share. */
export function trainingBatches(corpus: Corpus, shape: BatchShape, random: Random): () => LanguageModelBatch {
  const sources = corpus.domains.map((domain) => shuffledRuns(domain.train, shape.positions + 1, random))
  let turn = 0
  const nextRun = () => sources[turn++ % sources.length]!.next().value
  return () => nextTokenBatch(Array.from({ length: shape.sequences }, nextRun), shape.positions)
}

/** `count` batches spread evenly over a domain's held-out text: always the same ones. */
export function heldOutBatches(domain: TokenDomain, shape: BatchShape, count: number): LanguageModelBatch[] {
  const length = shape.positions + 1
  const runs = count * shape.sequences
  const stride = Math.floor((domain.heldOut.length - length) / runs)
  if (stride < 1) throw new RangeError(`${domain.name} has too little held-out text for ${runs} runs of ${length}`)
  const run = (i: number) => domain.heldOut.subarray(i * stride, i * stride + length)
  return Array.from({ length: count }, (_, batch) =>
    nextTokenBatch(
      Array.from({ length: shape.sequences }, (__, i) => run(batch * shape.sequences + i)),
      shape.positions,
    ),
  )
}
