export { servingConfig, type ServingConfig } from './config.js'
export { startServing } from './serving-service.js'
