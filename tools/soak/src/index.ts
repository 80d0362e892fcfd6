export { runSoak } from './run-soak.js'
export { parseOptions, type SoakOptions } from './options.js'
export type { SoakReport } from './report.js'
