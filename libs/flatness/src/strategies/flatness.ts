import { byPosition } from './by-position.js'

/** The paper's rule: the flattest windows, by mean flatness. */
export const flatness = byPosition('flatness', (window) => window.flatness)
