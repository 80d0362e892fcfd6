import { byPosition, whereDrafted } from './by-position.js'

/** Windows in which the draft is far from the target: mean 1 - alpha, alpha = sum min(p, q). */
export const draftGap = byPosition('draft-gap', (window) =>
  whereDrafted(window, window.draftOverlap, (alpha) => 1 - alpha),
)
