import { DraftAcceptance } from './draft-acceptance.js'
import { LookupAcceptance } from './lookup-acceptance.js'
import { RecentlyUsed } from './recently-used.js'

/** What one kind of traffic (a domain at a temperature, say) has shown of itself. */
export class TrafficKind {
  readonly acceptance: DraftAcceptance
  readonly copies = new LookupAcceptance()
  /** Responses in a row that went without proposals because none pay. */
  declined = 0

  constructor(maxProposal: number) {
    this.acceptance = new DraftAcceptance(maxProposal, 0)
  }
}

/** Kinds that are kept apart. */
const MAX_KINDS = 64

export class TrafficKinds {
  readonly #maxProposal: number
  readonly #kinds = new RecentlyUsed<TrafficKind>(MAX_KINDS)

  constructor(maxProposal: number) {
    this.#maxProposal = maxProposal
  }

  of(name: string): TrafficKind {
    return this.#kinds.of(name, () => new TrafficKind(this.#maxProposal))
  }
}
