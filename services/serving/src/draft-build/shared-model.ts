import type { DraftTargetModel } from '@plateau/model-files'

/** The same model with its tensors where all threads see them; what lies there already stays. Tied tensors stay one. */
export function sharedModel(model: DraftTargetModel): DraftTargetModel {
  const { embeddings, head, norm } = model.target
  const shared = sharedFloats(embeddings)
  const target = {
    embeddings: shared,
    head: head === embeddings ? shared : sharedFloats(head),
    norm: sharedFloats(norm),
  }
  return { ...model, target }
}

function sharedFloats(floats: Float32Array): Float32Array {
  if (floats.buffer instanceof SharedArrayBuffer) return floats
  const shared = new Float32Array(new SharedArrayBuffer(floats.byteLength))
  shared.set(floats)
  return shared
}
