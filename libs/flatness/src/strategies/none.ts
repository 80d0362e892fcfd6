import type { Strategy } from './strategy.js'

/** No filter: every window is kept. */
export const none: Strategy = {
  name: 'none',
  filters: false,
  score: () => 0,
  positions: (window) => new Float32Array(window.flatness.length),
}
