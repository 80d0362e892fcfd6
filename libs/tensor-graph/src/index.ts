export { encodeModel } from './onnx.js'
export type {
  AttributeValue,
  DataType,
  Dimension,
  ExternalData,
  ModelDef,
  NodeDef,
  TensorData,
  TensorDef,
  ValueInfo,
} from './onnx.js'
export { addExternalEntries, readExternalData, type ExternalEntries } from './external-data.js'
export { GraphBuilder, type OpOptions } from './graph-builder.js'
export { Tape, type Backward, type RotaryTable } from './autodiff.js'
export { klLoss, lkHybridLoss, losses, totalVariationLoss, type SparseLoss, type SparseTargets } from './losses.js'
export { StaticOps, type Attributes, type Tensor } from './static-ops.js'
