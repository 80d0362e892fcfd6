import { meanOf } from '../token-statistics.js'
import type { Strategy } from './strategy.js'

/** Windows of high mean Shannon entropy. */
export const entropy: Strategy = {
  name: 'entropy',
  filters: true,
  score: (window) => meanOf(window.entropy),
}
