/**
 * p of one position, after the request's processors, temperature, top_k and top_p, seen through whatever is at hand. Verification
 * rarely needs the whole vocabulary: the tokens the draft listed, the most probable ones, and how much mass is left.
 */
import type { SparseDistribution } from './draft.js'
import { indexOf, KnownLogits, type LogitLists } from './known-logits.js'
import { processedSource } from './processed-source.js'
import { argmax, keptCount, sum, transformLogits, type Sampling } from './sampling.js'

export interface TargetRow {
  /** p of one token: all that accepting it takes. */
  probability(id: number): number | Promise<number>
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
  return { probability: (id) => probs[id]!, view: () => Promise.resolve(whole) }
}

/** A row that is made when it is first looked at. */
export function lazyTargetRow(make: () => Promise<TargetRow>): TargetRow {
  let made: Promise<TargetRow> | undefined
  const row = () => (made ??= make())
  return { probability: async (id) => (await row()).probability(id), view: async (ids) => (await row()).view(ids) }
}

/** What a target's step returns about one position without moving the whole vocabulary. */
export interface TopKSource extends LogitLists {
  readonly vocabSize: number
  /** Most probable tokens, most probable first; ties: lowest id first. */
  readonly topIds: ArrayLike<number>
  /** ln of the sum over the whole vocabulary of exp(logit / temperature), at the request's temperature. Not read at 0. */
  readonly logSumExp: number
  /** Further tokens whose logits are known: the draft's candidates. May repeat tokens of the top list. */
  readonly candidateIds: ArrayLike<number>
  /** All logits. Called at most once, and only when a draw leaves the listed tokens or they do not settle top_k/top_p. */
  fullLogits(): Promise<ArrayLike<number>>
}

/**
 * Equal in distribution to the dense row of the same position, whatever k is. `ahead`: the proposed tokens before it,
 * which the request's processors count; they must not hear of the round's tokens before it is over.
 */
export function topKTargetRow(source: TopKSource, sampling: Sampling, ahead: readonly number[] = []): TargetRow {
  const { processors, ...others } = sampling
  if (processors === undefined) return new TopKRow(source, sampling)
  // Rows after the first rejection are never looked at.
  return lazyTargetRow(async () => {
    const processed = processedSource(source, processors, sampling.temperature, ahead)
    if (processed !== undefined) return new TopKRow(processed, others)
    return denseTargetRow(transformLogits(await source.fullLogits(), sampling, ahead))
  })
}

class TopKRow implements TargetRow {
  readonly #source: TopKSource
  readonly #sampling: Sampling
  readonly #known: KnownLogits
  #listed: RowView | undefined
  #dense: Promise<Float64Array> | undefined

  constructor(source: TopKSource, sampling: Sampling) {
    this.#source = source
    this.#sampling = sampling
    this.#known = new KnownLogits(source)
  }

  probability(id: number): number | Promise<number> {
    const { temperature, topK, topP } = this.#sampling
    if (temperature === 0) return id === this.#likeliest() ? 1 : 0
    // With truncation p depends on the rest of the row.
    if (topK !== 0 || topP < 1) return this.view([id]).then((view) => listedProbability(view, id))
    const logit = this.#known.of(id)
    return logit === undefined ? this.#transformed().then((probs) => probs[id]!) : this.#probability(logit)
  }

  async view(ids: ArrayLike<number>): Promise<RowView> {
    const listed = (this.#listed ??= await this.#list())
    if (listed.restMass === 0) return listed
    for (let i = 0; i < ids.length; i++) {
      if (this.#known.of(ids[i]!) === undefined) return (this.#listed = denseView(await this.#transformed()))
    }
    return listed
  }

  /** The listed tokens' p, or all of p where the list cannot settle the truncation. */
  async #list(): Promise<RowView> {
    const { topIds, topLogits, vocabSize } = this.#source
    if (this.#sampling.temperature === 0) return completeView([this.#likeliest()], Float64Array.of(1))
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
    const ids = new Uint32Array(top.length + candidateIds.length)
    const probs = new Float64Array(ids.length)
    ids.set(topIds)
    probs.set(top)
    const seen = new Set(Array.from(topIds))
    let count = top.length
    for (let i = 0; i < candidateIds.length; i++) {
      const id = candidateIds[i]!
      if (seen.has(id)) continue
      seen.add(id)
      ids[count] = id
      probs[count++] = this.#probability(candidateLogits[i]!)
    }
    const listed = { ids: ids.subarray(0, count), probs: probs.subarray(0, count) }
    return {
      ...listed,
      // Never exactly 0: tokens that are not listed exist, and a rounded-up sum must not make them impossible to fetch.
      restMass: Math.max(1 - sum(listed.probs), Number.EPSILON),
      rest: async () => withoutListed(await this.#transformed(), listed.ids),
    }
  }

  #likeliest(): number {
    const { topIds, topLogits } = this.#source
    return topIds[argmax(topLogits)]!
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

function listedProbability(view: RowView, id: number): number {
  const at = indexOf(view.ids, id, view.ids.length)
  return at < 0 ? 0 : view.probs[at]!
}

function withoutListed(probs: Float64Array, listed: Uint32Array): SparseDistribution {
  const rest = probs.slice()
  for (const id of listed) rest[id] = 0
  return { ids: allIds(rest.length), probs: rest }
}

function allIds(vocabSize: number): Uint32Array {
  const ids = new Uint32Array(vocabSize)
  for (let id = 0; id < vocabSize; id++) ids[id] = id
  return ids
}
