export { parameterShapes, type CausalLmConfig, type Parameter, type Parameters } from './config.js'
export { initialParameters } from './initial-parameters.js'
export { rotaryTable } from './rotary-table.js'
export {
  buildTrainGraph,
  decoderBlock,
  gradientPrefix,
  type LayerParameter,
  type TrainGraph,
  type TrainGraphOptions,
  type TrainGraphShape,
} from './train-graph.js'
