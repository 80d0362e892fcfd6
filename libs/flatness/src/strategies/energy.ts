import { meanOf } from '../token-statistics.js'
import type { Strategy } from './strategy.js'

/** Windows of high mean energy -log sum exp(logits), the less confident ones. */
export const energy: Strategy = {
  name: 'energy',
  filters: true,
  score: (window) => meanOf(window.energy),
}
