import { lotOfPosition } from '../hash.js'
import type { Strategy } from './strategy.js'

/** A share drawn by hash, whatever the window holds: the baseline of every other strategy. */
export const random: Strategy = {
  name: 'random',
  filters: true,
  score: (window) => window.lot,
  positions: ({ lot, flatness }) => flatness.map((_, i) => lotOfPosition(lot, i)),
}
