import { byPosition, whereDrafted } from './by-position.js'

/** Windows from which one gradient step would gain most acceptance, to first order: mean of draft_gain. */
export const draftGain = byPosition('draft-gain', (window) => whereDrafted(window, window.draftGain, (gain) => gain))
