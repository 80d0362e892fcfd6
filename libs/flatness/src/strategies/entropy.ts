import { byPosition } from './by-position.js'

/** Windows of high mean Shannon entropy. */
export const entropy = byPosition('entropy', (window) => window.entropy)
