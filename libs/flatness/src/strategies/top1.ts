import { byPosition } from './by-position.js'

/** Windows whose most probable tokens are least probable, on average. */
export const top1 = byPosition('top1', (window) => window.top1.map((p) => -p))
