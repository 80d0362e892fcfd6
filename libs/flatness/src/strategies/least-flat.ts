import { byPosition } from './by-position.js'

/** The opposite of the paper's rule: the most peaked windows. */
export const leastFlat = byPosition('least-flat', (window) => window.flatness.map((f) => -f))
