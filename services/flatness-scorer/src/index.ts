export { acceptWindow, type AcceptedWindow } from './accept-window.js'
export { windowStatistics } from './measure-window.js'
export { flatnessScorer } from './service.js'
