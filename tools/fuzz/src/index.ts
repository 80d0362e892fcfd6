export { findFailure, type Findings } from './find-failures.js'
export type { FuzzTarget, OpenTarget } from './fuzz-target.js'
export { runFuzz, type TargetResult } from './run-fuzz.js'
export { targets } from './targets.js'
