export { float32, int32, int64, type ElementType, type FloatTensor, type HostTensor } from './host-tensor.js'
export { InferenceSession, loadSession, type SessionOptions } from './session.js'
