import { meanOf } from '../token-statistics.js'
import type { Strategy } from './strategy.js'

/** The paper's rule: the flattest windows, by mean flatness. */
export const flatness: Strategy = {
  name: 'flatness',
  filters: true,
  score: (window) => meanOf(window.flatness),
}
