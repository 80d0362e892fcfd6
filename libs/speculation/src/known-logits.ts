/** The logits that a step told about one position: its most probable tokens and the candidates it was asked for. */
export interface LogitLists {
  readonly topIds: ArrayLike<number>
  readonly topLogits: ArrayLike<number>
  /** May repeat tokens of the top list. */
  readonly candidateIds: ArrayLike<number>
  readonly candidateLogits: ArrayLike<number>
}

/** A list of some hundred tokens is looked through faster than a map of it is made. */
const FEW = 192

/** Finds logits by id. */
export class KnownLogits {
  readonly #listed: LogitLists
  #byId: Map<number, number> | undefined

  constructor(listed: LogitLists) {
    this.#listed = listed
  }

  /** Undefined: not told. */
  of(id: number): number | undefined {
    const { topIds, topLogits, candidateIds, candidateLogits } = this.#listed
    if (topIds.length + candidateIds.length > FEW) return (this.#byId ??= mapOf(this.#listed)).get(id)
    const listed = indexOf(topIds, id, topIds.length)
    if (listed >= 0) return topLogits[listed]
    const candidate = indexOf(candidateIds, id, candidateIds.length)
    return candidate < 0 ? undefined : candidateLogits[candidate]
  }
}

function mapOf({ topIds, topLogits, candidateIds, candidateLogits }: LogitLists): Map<number, number> {
  const byId = new Map<number, number>()
  for (let i = 0; i < candidateIds.length; i++) byId.set(candidateIds[i]!, candidateLogits[i]!)
  for (let i = 0; i < topIds.length; i++) byId.set(topIds[i]!, topLogits[i]!)
  return byId
}

/** Among the first `length`; -1 where it is not. */
export function indexOf(ids: ArrayLike<number>, id: number, length: number): number {
  for (let i = 0; i < length; i++) if (ids[i] === id) return i
  return -1
}
