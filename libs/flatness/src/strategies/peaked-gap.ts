import { byPosition, whereDrafted } from './by-position.js'

/** Peaked positions at which the draft is far from the target: mean (1 - alpha) / f. */
export const peakedGap = byPosition('peaked-gap', (window) =>
  whereDrafted(window, window.draftOverlap, (alpha, i) => (1 - alpha) / window.flatness[i]!),
)
