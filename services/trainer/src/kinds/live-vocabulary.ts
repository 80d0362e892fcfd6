import { mostFrequentTokens } from '@plateau/causal-lm'
import { countTokens, coverage } from '@plateau/training'
import { doubleTensor, toDoubles, type Tensor } from '@plateau/model-files'
import type { AcceptedRecord } from '../training-record.js'

export interface LiveVocabularyOptions {
  /** Of the target. */
  readonly vocabSize: number
  /** How many of its tokens a draft proposes from; 0 = all. */
  readonly draftVocabulary: number
}

/** Fewer say little about which tokens are rare. */
const FIRST_POSITIONS = 2048
/** A change costs a draft its optimiser's momentum: it is looked at rarely, and made only where it gains enough. */
const POSITIONS_PER_LOOK = 8192
const LEAST_GAIN = 0.02
/** Positions after which the past counts half. */
const HALF_LIFE = 32_768
/** Counts are an array of the vocabulary's size for each; tokens of further tenants are not counted. */
const MOST_COUNTED_TENANTS = 64
const PREFIX = 'token_counts/'

/**
 * Which of the target's tokens a draft should be able to propose: those that the target gives most probability to, in the
 * live stream. Counted for every tenant apart, so that one can be forgotten.
 */
export class LiveVocabulary {
  readonly #options: LiveVocabularyOptions
  readonly #counts = new Map<string, Float64Array>()
  #sinceDecay: number
  #sinceLook: number

  constructor(options: LiveVocabularyOptions, saved?: LiveVocabularyState) {
    this.#options = options
    this.#sinceDecay = saved?.facts.sinceDecay ?? 0
    this.#sinceLook = saved?.facts.sinceLook ?? POSITIONS_PER_LOOK - FIRST_POSITIONS
    saved?.facts.tenants.forEach((tenant, i) => {
      this.#counts.set(tenant, toDoubles(saved.tensors.get(`${PREFIX}${i}`)!).slice())
    })
  }

  /** False: drafts propose any token. */
  get isReduced(): boolean {
    const { vocabSize, draftVocabulary } = this.#options
    return draftVocabulary > 0 && draftVocabulary < vocabSize
  }

  add({ tenant, rows }: Pick<AcceptedRecord, 'tenant' | 'rows'>): void {
    if (!this.isReduced) return
    const counts = this.#countsOf(tenant)
    if (counts === undefined) return
    countTokens(counts, rows)
    this.#sinceLook += rows.length
    this.#sinceDecay += rows.length
    if (this.#sinceDecay < HALF_LIFE) return
    this.#sinceDecay = 0
    for (const one of this.#counts.values()) for (let id = 0; id < one.length; id++) one[id]! /= 2
  }

  /** It is time for `choose`. */
  get isDue(): boolean {
    return this.isReduced && this.#sinceLook >= POSITIONS_PER_LOOK
  }

  /** Better ids than the present ones, ascending; undefined where a change gains too little. `present` undefined: all. */
  choose(present: Int32Array | undefined): Int32Array | undefined {
    this.#sinceLook = 0
    const best = this.best()
    if (best === undefined || present?.length !== best.length) return best
    const counts = this.#total()
    return coverage(counts, best) - coverage(counts, present) >= LEAST_GAIN ? best : undefined
  }

  /** The ids that cover most of what was counted, ascending; undefined: all, or nothing was counted. */
  best(): Int32Array | undefined {
    if (!this.isReduced || this.#counts.size === 0) return undefined
    return mostFrequentTokens(this.#total(), this.#options.draftVocabulary)
  }

  /** As if the tenant had never been seen. True when there was something to forget: the next `choose` is due. */
  forget(tenant: string): boolean {
    const wasCounted = this.#counts.delete(tenant)
    if (wasCounted) this.#sinceLook = POSITIONS_PER_LOOK
    return wasCounted
  }

  /** Whose tokens are counted. */
  get tenants(): Iterable<string> {
    return this.#counts.keys()
  }

  /** The counts take no more. */
  get mostBytes(): number {
    const { vocabSize } = this.#options
    return this.isReduced ? MOST_COUNTED_TENANTS * vocabSize * Float64Array.BYTES_PER_ELEMENT : 0
  }

  /** Live arrays. */
  get state(): LiveVocabularyState {
    const { vocabSize } = this.#options
    const tensors = [...this.#counts.values()].map(
      (counts, i) => [`${PREFIX}${i}`, doubleTensor([vocabSize], counts)] as const,
    )
    return {
      facts: { tenants: [...this.#counts.keys()], sinceDecay: this.#sinceDecay, sinceLook: this.#sinceLook },
      tensors: new Map(tensors),
    }
  }

  /** Undefined: there is no room for one more tenant. */
  #countsOf(tenant: string): Float64Array | undefined {
    const known = this.#counts.get(tenant)
    if (known !== undefined || this.#counts.size >= MOST_COUNTED_TENANTS) return known
    const counts = new Float64Array(this.#options.vocabSize)
    this.#counts.set(tenant, counts)
    return counts
  }

  #total(): Float64Array {
    const total = new Float64Array(this.#options.vocabSize)
    for (const counts of this.#counts.values()) for (let id = 0; id < total.length; id++) total[id]! += counts[id]!
    return total
  }
}

export interface LiveVocabularyState {
  readonly facts: { readonly tenants: readonly string[]; readonly sinceDecay: number; readonly sinceLook: number }
  readonly tensors: ReadonlyMap<string, Tensor>
}
