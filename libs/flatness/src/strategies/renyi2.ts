import { byPosition } from './by-position.js'

/**
 * Windows of high mean collision (Renyi-2) entropy, -log sum p^2 = 2 log f + log V in nats. Positions rank as by flatness;
 * a window differs, because its mean is not dominated by a few very flat positions.
 */
export const renyi2 = byPosition('renyi2', ({ flatness, vocabSize }) =>
  flatness.map((f) => 2 * Math.log(f) + Math.log(vocabSize)),
)
