import { commonMetrics } from './common-metrics.js'
import { consoleMetrics } from './console-metrics.js'
import { flatnessScorerMetrics } from './flatness-scorer-metrics.js'
import { servingMetrics } from './serving-metrics.js'
import { targetModelMetrics } from './target-model-metrics.js'
import { trainerMetrics } from './trainer-metrics.js'

/**
 * Every metric there is, by who shows it. The compiler refuses a name, kind or label that is not here; `npm run check`
 * refuses one that is here and nowhere else, and a docs/telemetry.md that says something else.
 */
export const metricsByService = {
  common: commonMetrics,
  serving: servingMetrics,
  'target-model': targetModelMetrics,
  'flatness-scorer': flatnessScorerMetrics,
  trainer: trainerMetrics,
  console: consoleMetrics,
} as const

export const metricTable = {
  ...commonMetrics,
  ...servingMetrics,
  ...targetModelMetrics,
  ...flatnessScorerMetrics,
  ...trainerMetrics,
  ...consoleMetrics,
} as const

export type PlateauMetrics = typeof metricTable
