export { parameterShapes, type CausalLmConfig, type Parameter, type Parameters } from './config.js'
