export { windowStatistics } from './measure-window.js'
export { flatnessScorer } from './service.js'
