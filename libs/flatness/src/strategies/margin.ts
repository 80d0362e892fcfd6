import { meanOf } from '../token-statistics.js'
import type { Strategy } from './strategy.js'

/** Windows in which the two most probable tokens are close, on average. */
export const margin: Strategy = {
  name: 'margin',
  filters: true,
  score: (window) => -meanOf(window.margin),
}
