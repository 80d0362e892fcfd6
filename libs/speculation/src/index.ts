export type { Draft, DraftSession, DraftStart, Proposal, SparseDistribution } from './draft.js'
export { seededRandom, type Random } from './random.js'
export type { Sampling } from './sampling.js'
