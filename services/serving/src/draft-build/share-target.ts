import type { FeatureHeadTarget } from '@plateau/causal-lm'

/** The same tensors where all threads see them; what is there already stays. Tied tensors stay one. */
export function shareTarget({ embeddings, head, norm }: FeatureHeadTarget): FeatureHeadTarget {
  const shared = shareFloats(embeddings)
  return { embeddings: shared, head: head === embeddings ? shared : shareFloats(head), norm: shareFloats(norm) }
}

function shareFloats(floats: Float32Array): Float32Array {
  if (floats.buffer instanceof SharedArrayBuffer) return floats
  const shared = new Float32Array(new SharedArrayBuffer(floats.byteLength))
  shared.set(floats)
  return shared
}
