/**
 * A draft that can propose only the tokens that its traffic uses: its output head is a slice of the target's, and the
 * softmax runs over the slice. Any token can still be fed in, and proposals are in the target's ids.
 */
import { checkTokenIds } from './draft-vocabulary.js'
import type { FeatureHead, FeatureHeadConfig, FeatureHeadTarget } from './feature-head.js'

/** The same head over other tokens; undefined: over all of them. What it has learned does not depend on them. */
export function withVocabulary(head: FeatureHead, ids: Int32Array | undefined): FeatureHead {
  const { draftVocabSize: _, ...config } = head.config
  const { vocabulary: __, ...rest } = head
  if (ids === undefined) return { ...rest, config }
  const changed = { ...rest, config: { ...config, draftVocabSize: ids.length }, vocabulary: ids }
  checkVocabulary(changed.config, ids)
  return changed
}

/** How many tokens the head can propose. */
export function draftVocabSize(config: FeatureHeadConfig): number {
  return config.draftVocabSize ?? config.vocabSize
}

/** The rows of the target's output head that this head reads, [draftVocabSize, H]; the target's own array if all. */
export function draftOutputHead(head: FeatureHead, target: Pick<FeatureHeadTarget, 'head'>): Float32Array {
  const { vocabulary, config } = head
  if (vocabulary === undefined) return target.head
  const h = config.hiddenSize
  const rows = new Float32Array(vocabulary.length * h)
  vocabulary.forEach((id, row) => rows.set(target.head.subarray(id * h, (id + 1) * h), row * h))
  return rows
}

/** Per token of the target its row in the draft's output head, -1 where it has none, [V]; undefined: all, in order. */
export function draftRowsOfTokens({ vocabulary, config }: FeatureHead): Int32Array | undefined {
  if (vocabulary === undefined) return undefined
  const rows = new Int32Array(config.vocabSize).fill(-1)
  vocabulary.forEach((id, row) => (rows[id] = row))
  return rows
}

/** Throws RangeError when the ids are not as the configuration says, ascending and within the target's vocabulary. */
export function checkVocabulary(config: FeatureHeadConfig, ids: Int32Array | undefined): void {
  const expected = config.draftVocabSize
  if (ids?.length !== expected || expected === 0) {
    throw new RangeError(
      `the draft's vocabulary has ${ids?.length ?? 'no'} ids, its configuration ${expected ?? 'none'}`,
    )
  }
  if (ids !== undefined) checkTokenIds(ids, config.vocabSize)
}
