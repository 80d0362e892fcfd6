import type { Dashboard } from './dashboard.js'
import { overview } from './overview.js'
import { pipeline } from './pipeline.js'
import { rollouts } from './rollouts.js'
import { serving } from './serving.js'
import { training } from './training.js'

/** Each is a file of the chart, made by `npm run gen:dashboards`. */
export const dashboards: readonly Dashboard[] = [overview, serving, pipeline, training, rollouts]
