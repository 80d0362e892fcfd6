import type { Strategy } from './strategy.js'

/** Windows whose own tokens surprised the target most. */
export const perplexity: Strategy = {
  name: 'perplexity',
  filters: true,
  score: (window) => window.perplexity,
}
