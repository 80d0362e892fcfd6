import { byPosition } from './by-position.js'

/** Windows of high mean energy -log sum exp(logits), the less confident ones. */
export const energy = byPosition('energy', (window) => window.energy)
