import type { Scenario } from './scenario.js'
import { brokerScenarios } from './scenarios/broker.js'
import { clusterScenarios } from './scenarios/cluster.js'
import { pairScenarios, processScenarios } from './scenarios/processes.js'
import { recordScenarios } from './scenarios/records.js'

/** All of them, those that share a running system next to each other. */
export const scenarios: readonly Scenario[] = [
  ...brokerScenarios,
  ...recordScenarios,
  ...processScenarios,
  ...pairScenarios,
  ...clusterScenarios,
]
