export { servingConfig, type ServingConfig } from './config.js'
export { loadTargetAsDraft } from './load-target-as-draft.js'
export { adminsOnly, rolloutApi, type OrderBy, type RolloutApiOptions, type RolloutControl } from './rollout-api.js'
export { startServing } from './serving-service.js'
