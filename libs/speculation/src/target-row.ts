/**
 * p of one position, after the request's temperature, top_k and top_p, seen through whatever is at hand. Verification
 * rarely needs the whole vocabulary: the tokens the draft listed, the most probable ones, and how much mass is left.
 */
import type { SparseDistribution } from './draft.js'
import { argmax, keptCount, sum, transformLogits, type Sampling } from './sampling.js'

export interface TargetRow {
  /** Probabilities of at least the given tokens. Fetches more than it holds only when it must. */
  view(ids: ArrayLike<number>): Promise<RowView>
}

/** Part of p: `probs` are the exact probabilities of `ids` (no id twice); all other tokens together have `restMass`. */
export interface RowView extends SparseDistribution {
  readonly restMass: number
  /** The tokens that are not listed. Only meaningful, and only called, when restMass > 0. */
  rest(): Promise<SparseDistribution>
}

/** The reference row: every probability is there. `probs` is p after the request's sampling, over the vocabulary. */
export function denseTargetRow(probs: Float64Array): TargetRow {
  const whole = completeView(allIds(probs.length), probs)
  return { view: () => Promise.resolve(whole) }
}

/** What a target's step returns about one position without moving the whole vocabulary. */
export interface TopKSource {
  readonly vocabSize: number
  /** Most probable tokens, most probable first; ties: lowest id first. */
  readonly topIds: ArrayLike<number>
  readonly topLogits: ArrayLike<number>
  /** ln of the sum over the whole vocabulary of exp(logit / temperature), at the request's temperature. Not read at 0. */
  readonly logSumExp: number
  /** Further tokens whose logits are known: the draft's candidates. May repeat tokens of the top list. */
  readonly candidateIds: ArrayLike<number>
  readonly candidateLogits: ArrayLike<number>
  /** All logits. Called at most once, and only when a draw leaves the listed tokens or they do not settle top_k/top_p. */
  fullLogits(): Promise<ArrayLike<number>>
}

/** Equal in distribution to the dense row of the same position, whatever k is. */
export function topKTargetRow(source: TopKSource, sampling: Sampling): TargetRow {
  return new TopKRow(source, sampling)
}

class TopKRow implements TargetRow {
  readonly #source: TopKSource
  readonly #sampling: Sampling
  #listed: RowView | undefined
  #dense: Promise<Float64Array> | undefined

  constructor(source: TopKSource, sampling: Sampling) {
    this.#source = source
    this.#sampling = sampling
  }

  async view(ids: ArrayLike<number>): Promise<RowView> {
    const listed = (this.#listed ??= await this.#list())
    if (listed.restMass === 0) return listed
    const known = new Set(Array.from(listed.ids))
    for (let i = 0; i < ids.length; i++) {
      if (!known.has(ids[i]!)) return (this.#listed = denseView(await this.#transformed()))
    }
    return listed
  }

  /** The listed tokens' p, or all of p where the list cannot settle the truncation. */
  async #list(): Promise<RowView> {
    const { topIds, topLogits, vocabSize } = this.#source
    if (this.#sampling.temperature === 0) return completeView([topIds[argmax(topLogits)]!], Float64Array.of(1))
    const top = Float64Array.from(topLogits, (logit) => this.#probability(logit))
    const kept = keptCount(top, vocabSize, this.#sampling)
    if (kept === undefined) return denseView(await this.#transformed())
    if (kept < vocabSize || top.length === vocabSize) {
      const mass = sum(top.subarray(0, kept))
      return completeView(
        Uint32Array.from(topIds).subarray(0, kept),
        top.subarray(0, kept).map((p) => p / mass),
      )
    }
    return this.#untruncated(top)
  }

  #untruncated(top: Float64Array): RowView {
    const { topIds, candidateIds, candidateLogits } = this.#source
    const probs = new Map<number, number>()
    for (let i = 0; i < top.length; i++) probs.set(topIds[i]!, top[i]!)
    for (let i = 0; i < candidateIds.length; i++) {
      if (!probs.has(candidateIds[i]!)) probs.set(candidateIds[i]!, this.#probability(candidateLogits[i]!))
    }
    const listed = Float64Array.from(probs.values())
    return {
      ids: Uint32Array.from(probs.keys()),
      probs: listed,
      // Never exactly 0: tokens that are not listed exist, and a rounded-up sum must not make them impossible to fetch.
      restMass: Math.max(1 - sum(listed), Number.EPSILON),
      rest: async () => withoutListed(await this.#transformed(), probs),
    }
  }

  #probability(logit: number): number {
    return Math.exp(logit / this.#sampling.temperature - this.#source.logSumExp)
  }

  #transformed(): Promise<Float64Array> {
    return (this.#dense ??= this.#source.fullLogits().then((logits) => transformLogits(logits, this.#sampling)))
  }
}

function denseView(probs: Float64Array): RowView {
  return completeView(allIds(probs.length), probs)
}

/** A view that leaves nothing out: what it does not list has probability 0. */
function completeView(ids: ArrayLike<number>, probs: Float64Array): RowView {
  return { ids, probs, restMass: 0, rest: () => Promise.resolve({ ids: [], probs: [] }) }
}

function withoutListed(probs: Float64Array, listed: ReadonlyMap<number, number>): SparseDistribution {
  const rest = probs.slice()
  for (const id of listed.keys()) rest[id] = 0
  return { ids: allIds(rest.length), probs: rest }
}

function allIds(vocabSize: number): Uint32Array {
  const ids = new Uint32Array(vocabSize)
  for (let id = 0; id < vocabSize; id++) ids[id] = id
  return ids
}
