import { meanOf } from '../token-statistics.js'
import type { Strategy } from './strategy.js'

/**
 * Mean flatness over all positions of a window and the 3 before it in its stream: the paper's code scores batches of 4.
 * Windows that follow one another share most of a score, so this selects less sharply than flatness.
 */
export const batchFlatness: Strategy = {
  name: 'batch-flatness',
  filters: true,
  score(window, before) {
    let sum = 0
    let count = 0
    for (const { flatness } of [window, ...before]) {
      sum += meanOf(flatness) * flatness.length
      count += flatness.length
    }
    return sum / count
  },
  positions: (window) => window.flatness,
}
