export { servingConfig, type ServingConfig } from './config.js'
export { loadTargetAsDraft } from './load-target-as-draft.js'
export { startServing } from './serving-service.js'
