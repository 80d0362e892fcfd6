import { byPosition, whereDrafted } from './by-position.js'

/** Flat positions at which the draft is far from the target: mean f (1 - alpha). */
export const flatGap = byPosition('flat-gap', (window) =>
  whereDrafted(window, window.draftOverlap, (alpha, i) => window.flatness[i]! * (1 - alpha)),
)
