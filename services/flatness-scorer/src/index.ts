export { flatnessScorer } from './service.js'
