import type { Strategy } from './strategy.js'

/**
 * The shortest windows (or responses, as the unit is): what a rule gains by length alone. Positions of one window are
 * equal, and go by lot.
 */
export const length: Strategy = {
  name: 'length',
  filters: true,
  score: (window) => -window.flatness.length,
  positions: ({ flatness }) => new Float32Array(flatness.length).fill(-flatness.length),
}
