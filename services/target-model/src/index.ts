export { targetModelConfig } from './config.js'
export { targetModel } from './service.js'
