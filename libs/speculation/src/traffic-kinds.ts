import { DraftAcceptance } from './draft-acceptance.js'
import { LookupAcceptance } from './lookup-acceptance.js'

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

/** Kinds that are kept apart; the one that was asked for longest ago gives way. */
const MAX_KINDS = 64

export class TrafficKinds {
  readonly #maxProposal: number
  readonly #kinds = new Map<string, TrafficKind>()

  constructor(maxProposal: number) {
    this.#maxProposal = maxProposal
  }

  of(name: string): TrafficKind {
    const kind = this.#kinds.get(name) ?? new TrafficKind(this.#maxProposal)
    this.#kinds.delete(name)
    this.#kinds.set(name, kind)
    if (this.#kinds.size > MAX_KINDS) this.#kinds.delete(this.#kinds.keys().next().value!)
    return kind
  }
}
