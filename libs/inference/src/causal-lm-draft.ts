import {
  checkCausalDraft,
  draftVocabularyMap,
  type CausalDraft,
  type CausalDraftConfig,
  type DraftVocabularyMap,
  type WeightFormat,
} from '@plateau/causal-lm'
import type {
  Draft,
  DraftSession,
  DraftStart,
  Proposal,
  Random,
  Sampling,
  SparseDistribution,
} from '@plateau/speculation'
import { CausalLmDecoder } from './causal-lm-decoder.js'
import type { BuiltStep } from './compiled-decoder.js'
import type { Sequence } from './decoder-sequence.js'
import { memoryWeights } from './memory-weights.js'
import { chooseToken, rawDistribution, type ListedLogits } from './choose-token.js'
import type { StepRows } from './step-rows.js'
import { warmUp } from './warm-up.js'

export interface OpenCausalDraftOptions {
  readonly version: string
  /** Default 8. */
  readonly maxProposal?: number
  /** Default 1: a step is so short that waking a second thread costs more than it brings. */
  readonly threads?: number
}

export interface BuildCausalDraftOptions {
  /** Of how many most probable tokens q consists. Default 64. */
  readonly listedTokens?: number
  /** How the matrices are multiplied. Default int8: a step reads every weight, and q is whatever the draft says it is. */
  readonly weightFormat?: WeightFormat
}

export interface CausalLmDraftOptions extends OpenCausalDraftOptions, BuildCausalDraftOptions {}

/** A causal draft as the engine loads it: plain data, which another thread can make. */
export interface BuiltCausalDraft {
  readonly config: CausalDraftConfig
  readonly listedTokens: number
  readonly step: BuiltStep
}

/** Throws RangeError when the draft does not fit its own configuration. */
export async function buildCausalDraft(
  { config, parameters }: CausalDraft,
  options: BuildCausalDraftOptions = {},
): Promise<BuiltCausalDraft> {
  checkCausalDraft({ config, parameters })
  const { listedTokens = 64, weightFormat = 'int8' } = options
  const { model } = config
  const decoder = { ...decoderOptions(listedTokens), weightFormat }
  const step = await CausalLmDecoder.buildStep(model, memoryWeights(model, parameters), decoder)
  return { config, listedTokens, step }
}

/** Responses that may hold a cache at once; a response that does not speculate holds none. */
const MAX_SESSIONS = 1024

function decoderOptions(listedTokens: number) {
  // A session begins in the middle of a text: beginnings are not shared.
  return { topK: listedTokens, maxSequences: MAX_SESSIONS, prefixBytes: 0 }
}

/** A causal language model, loaded for serving. Reads tokens only: what features come with them is not looked at. */
export class CausalLmDraft implements Draft {
  readonly version: string
  readonly maxProposal: number
  readonly #decoder: CausalLmDecoder
  readonly #vocabulary: DraftVocabularyMap

  private constructor(decoder: CausalLmDecoder, vocabulary: DraftVocabularyMap, version: string, maxProposal: number) {
    this.#decoder = decoder
    this.#vocabulary = vocabulary
    this.version = version
    this.maxProposal = maxProposal
  }

  /** Throws RangeError when the draft does not fit its own configuration, or has no room for a proposal. */
  static async load(draft: CausalDraft, options: CausalLmDraftOptions): Promise<CausalLmDraft> {
    return CausalLmDraft.fromBuilt(await buildCausalDraft(draft, options), options)
  }

  /** The part of `load` that needs the engine: short, and warm when it resolves. */
  static async fromBuilt(
    { config, listedTokens, step }: BuiltCausalDraft,
    options: OpenCausalDraftOptions,
  ): Promise<CausalLmDraft> {
    const { version, maxProposal = 8, threads = 1 } = options
    const { model } = config
    if (model.maxPositions < 2 * maxProposal) {
      throw new RangeError(`a draft of ${model.maxPositions} positions has no room to propose ${maxProposal} tokens`)
    }
    const decoder = await CausalLmDecoder.fromStep(model, step, {
      ...decoderOptions(listedTokens),
      name: `draft ${version}`,
      threads,
    })
    return warmUp(new CausalLmDraft(decoder, draftVocabularyMap(config), version, maxProposal), 0)
  }

  open(start: DraftStart): DraftSession {
    return new CausalLmDraftSession(this.#decoder, this.#vocabulary, this.maxProposal, start.tokens)
  }

  release(): Promise<void> {
    return this.#decoder.release()
  }
}

/**
 * One response. The cache holds the text up to some point and then guesses:
 *
 *   confirmed ──────────────▶ | pending ──▶ | guessed
 *   in the cache                not yet       in the cache right after `confirmed`, once nothing is pending
 *
 * What the target emits confirms the guesses that agree with it, so a round computes only what the cache lacks, in the
 * same step as its first guess; going back is a counter.
 */
class CausalLmDraftSession implements DraftSession {
  readonly #decoder: CausalLmDecoder
  readonly #vocabulary: DraftVocabularyMap
  readonly #maxProposal: number
  /** The text's last tokens as rows of the draft, as many as fit its context. */
  #text: number[]
  /** Rows at the end of the text that the cache lacks. */
  #pending: number
  #confirmed = 0
  #guessed: number[] = []
  #sequence: Sequence | undefined
  #closed = false

  constructor(
    decoder: CausalLmDecoder,
    vocabulary: DraftVocabularyMap,
    maxProposal: number,
    tokens: readonly number[],
  ) {
    this.#decoder = decoder
    this.#vocabulary = vocabulary
    this.#maxProposal = maxProposal
    this.#text = tokens.slice(-decoder.maxContext).map((token) => vocabulary.rowOf[token]!)
    this.#pending = this.#text.length
  }

  async propose(count: number, sampling: Sampling, random: Random): Promise<Proposal> {
    const tokens: number[] = []
    const q: SparseDistribution[] = []
    const rawQ: SparseDistribution[] = []
    const wanted = Math.min(count, this.#maxProposal)
    if (wanted <= 0 || this.#text.length === 0 || this.#closed) return { tokens, q, rawQ }
    let prediction = await this.#catchUp()
    // Undefined: the draft thinks that a token comes which it cannot say.
    while (prediction !== undefined) {
      const { token, distribution } = chooseToken(prediction, sampling, random, tokens)
      tokens.push(token)
      if (distribution !== undefined) q.push(distribution)
      rawQ.push(rawDistribution(prediction))
      if (tokens.length === wanted) break
      const row = this.#vocabulary.rowOf[token]!
      prediction = this.#predictionOf(await this.#sequence!.step([row]))
      this.#guessed.push(row)
    }
    return { tokens, q, rawQ }
  }

  adopt(tokens: readonly number[]): void {
    const rows = tokens.map((token) => this.#vocabulary.rowOf[token]!)
    let agreed = 0
    while (agreed < this.#guessed.length && this.#guessed[agreed] === rows[agreed]) agreed++
    this.#confirmed += agreed
    this.#guessed = []
    this.#text.push(...rows)
    this.#pending += rows.length - agreed
    const { maxContext } = this.#decoder
    // Trimmed in strides, not at every token.
    if (this.#text.length > 2 * maxContext) this.#text = this.#text.slice(-maxContext)
  }

  close(): void {
    this.#closed = true
    this.#sequence?.close()
    this.#text = []
  }

  /** Computes what the cache lacks of the text and predicts what follows it. */
  async #catchUp(): Promise<ListedLogits | undefined> {
    this.#sequence ??= this.#decoder.open()
    // A second proposal for the same text: its last token is computed again.
    if (this.#pending === 0) this.#step(-1)
    const { maxContext } = this.#decoder
    if (this.#confirmed + this.#pending + this.#maxProposal > maxContext) {
      // Begins again with the nearer half, so that this is rare.
      this.#confirmed = 0
      this.#pending = Math.min(this.#text.length, Math.ceil(maxContext / 2))
    }
    this.#sequence.rollback(this.#confirmed)
    this.#guessed = []
    const rows = await this.#sequence.step(this.#text.slice(-this.#pending))
    this.#step(this.#pending)
    return this.#predictionOf(rows)
  }

  /** Moves the border between what is in the cache and what is pending. */
  #step(tokens: number): void {
    this.#confirmed += tokens
    this.#pending -= tokens
  }

  /** In the target's ids, without the unknown; undefined where that is the most probable. */
  #predictionOf({ topIds, topLogits, logSumExp }: StepRows): ListedLogits | undefined {
    const { tokenOf, unknown } = this.#vocabulary
    const at = unknown < 0 ? -1 : topIds.indexOf(unknown)
    if (at === 0) return undefined
    const said = (_: number, i: number): boolean => i !== at
    const [ids, logits] = at < 0 ? [topIds, topLogits] : [topIds.filter(said), topLogits.filter(said)]
    return { topIds: ids.map((row) => tokenOf[row]!), topLogits: logits, logSumExp: logSumExp[0]! }
  }
}
