export { encodeModel } from './onnx.js'
export type { AttributeValue, DataType, Dimension, ModelDef, NodeDef, TensorDef, ValueInfo } from './onnx.js'
export { GraphBuilder, type OpOptions } from './graph-builder.js'
