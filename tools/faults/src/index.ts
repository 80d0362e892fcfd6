export { runFaults } from './run-faults.js'
export type { Scenario, ScenarioResult, Topology } from './scenario.js'
export { scenarios } from './scenarios.js'
