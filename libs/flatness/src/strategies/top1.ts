import { meanOf } from '../token-statistics.js'
import type { Strategy } from './strategy.js'

/** Windows whose most probable tokens are least probable, on average. */
export const top1: Strategy = {
  name: 'top1',
  filters: true,
  score: (window) => -meanOf(window.top1),
}
