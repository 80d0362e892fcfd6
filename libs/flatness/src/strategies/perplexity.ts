import { nothingKnown } from './by-position.js'
import type { Strategy } from './strategy.js'

/** Windows, and positions, whose own tokens surprised the target most. */
export const perplexity: Strategy = {
  name: 'perplexity',
  filters: true,
  score: (window) => window.perplexity,
  positions: (window) =>
    window.tokenLogProb.length === 0 ? nothingKnown(window) : window.tokenLogProb.map((logProb) => -logProb),
}
