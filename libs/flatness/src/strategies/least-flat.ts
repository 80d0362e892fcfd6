import { meanOf } from '../token-statistics.js'
import type { Strategy } from './strategy.js'

/** The opposite of the paper's rule: the most peaked windows. */
export const leastFlat: Strategy = {
  name: 'least-flat',
  filters: true,
  score: (window) => -meanOf(window.flatness),
}
