import { byPosition } from './by-position.js'

/** Windows in which the two most probable tokens are close, on average. */
export const margin = byPosition('margin', (window) => window.margin.map((difference) => -difference))
