export { type ChatMessage, renderChat, type SpecialTokens } from './chat-template.js'
export { type IncrementalDecoder } from './incremental-decoder.js'
export {
  describeModelDirectory,
  type Model,
  type ModelDescription,
  openModel,
  type OpenOptions,
  readModelDirectory,
  writeModelDirectory,
  type WriteOptions,
} from './model-directory.js'
export { type ModelFormat, type StoredTensor } from './opened-model.js'
export { decodeSafetensors, encodeSafetensors, type Safetensors } from './safetensors.js'
export { readTensors, writeTensors } from './tensor-file.js'
export {
  doubleTensor,
  type Dtype,
  type FloatDtype,
  floatTensor,
  integerTensor,
  type Tensor,
  toDoubles,
  toFloats,
  toIntegers,
} from './tensor.js'
export { loadTokenizer, type Tokenizer } from './tokenizer.js'
export {
  decodeFeatureHead,
  type DraftTargetModel,
  encodeFeatureHead,
  readDraftTarget,
  readFeatureHead,
} from './feature-head-files.js'
export { encodeEagle3, type Eagle3Options } from './eagle3-files.js'
export { decodeCausalDraft, encodeCausalDraft, readCausalDraft } from './causal-draft-files.js'
export { type MemoryLimit, weightMemory } from './weight-memory.js'
