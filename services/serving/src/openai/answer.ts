import type { Tokenizer } from '@plateau/model-files'
import type { ScoredToken } from '../scored-tokens.js'
import type { Generation, ServingEngine } from '../serving-engine.js'
import type { FinishReason, Piece } from '../text-pieces.js'
import { acceptanceMetrics, type RequestMetricsLevel } from './acceptance-metrics.js'
import { interleave } from './interleave.js'
import type { OpenAiRequest } from './parse-request.js'
import type { Prompt } from './prompt-fields.js'
import {
  logProbsBody,
  plateauPart,
  usageOf,
  type ChoicePart,
  type PlateauPart,
  type RequestMetrics,
  type Usage,
} from './response-bodies.js'

export interface AnswerOptions {
  readonly engine: ServingEngine
  readonly tokenizer: Tokenizer
  readonly metrics: RequestMetricsLevel
  /** Most tokens that a round may propose; undefined: there is no speculation here. */
  readonly maxProposal: number | undefined
}

/** The choices of one request under way. If one fails, all fail with its error. */
export class Answer {
  readonly #request: OpenAiRequest
  readonly #options: AnswerOptions
  readonly #choices: readonly Choice[]
  readonly #stop = new AbortController()

  /** Aborting `client` ends every choice at the target at once. */
  constructor(request: OpenAiRequest, options: AnswerOptions, client: AbortSignal) {
    this.#request = request
    this.#options = options
    const signal = AbortSignal.any([client, this.#stop.signal])
    this.#choices = request.generations.map((generation, index) => {
      const prompt = request.prompts[Math.floor(index / request.n)]!
      return new Choice(index, prompt, options.engine.generate(generation, signal))
    })
  }

  /** The whole answer's choices, when all have ended. */
  async whole(): Promise<ChoicePart[]> {
    for await (const { index, value } of this.#pieces()) this.#choices[index]!.add(value)
    return this.#choices.map((choice) => this.#part(choice))
  }

  /** The choices' parts as they come, without those that would say nothing. */
  async *parts(): AsyncGenerator<ChoicePart & { readonly first: boolean }, void> {
    for await (const { index, value } of this.#pieces()) {
      const choice = this.#choices[index]!
      choice.add(value)
      const first = !choice.begun
      if (choice.text === '' && choice.finish === undefined && !first) continue
      yield { ...this.#part(choice), first }
    }
  }

  /** So far; every prompt counts once, however many choices continue it. */
  usage(): Usage {
    const prompts = this.#request.prompts.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0)
    return usageOf(prompts, this.#generatedTokens())
  }

  usageOfChoice(index: number): Usage {
    const { prompt, generated } = this.#choices[index]!
    return usageOf(prompt.tokenIds.length, generated.length)
  }

  /** What the request cost: nothing, if it failed before its first token. */
  usedTokens(): number {
    return this.#generatedTokens() === 0 ? 0 : this.usage().total_tokens
  }

  /** Of all choices together; with the token ids where they are wanted and there is one choice. */
  plateau(): PlateauPart {
    const stats = this.#choices.map(({ generation }) => generation.stats())
    const [only] = this.#choices
    const single = this.#request.returnTokenIds && this.#choices.length === 1
    return plateauPart(stats, single ? only!.generated : undefined)
  }

  plateauOfChoice(index: number): PlateauPart {
    const { generation, generated } = this.#choices[index]!
    return plateauPart([generation.stats()], this.#request.returnTokenIds ? generated : undefined)
  }

  /** Undefined where the setting wants none; as in vLLM, null within for several choices or without speculation. */
  metrics(): RequestMetrics | undefined {
    const { metrics, maxProposal } = this.#options
    if (metrics === 'none') return undefined
    if (maxProposal === undefined || this.#choices.length > 1) return { speculative_decoding: null }
    const { steps } = this.#choices[0]!.generation
    return { speculative_decoding: acceptanceMetrics(steps, { maxProposal, detailed: metrics === 'detailed' }) }
  }

  #pieces() {
    const sources = this.#choices.map(({ generation }) => generation.pieces)
    return interleave(sources, () => this.#stop.abort())
  }

  #generatedTokens(): number {
    return this.#choices.reduce((sum, { generated }) => sum + generated.length, 0)
  }

  #part(choice: Choice): ChoicePart {
    const { endpoint, echo, topLogProbs, returnTokenIds } = this.#request
    const { index, prompt, begun } = choice
    const { text, scored, tokenIds, finish } = choice.take()
    return {
      index,
      finish,
      text: echo && !begun ? prompt.text + text : text,
      logprobs: logProbsBody(endpoint, scored, topLogProbs, this.#options.tokenizer),
      tokenIds: returnTokenIds ? tokenIds : undefined,
      promptTokenIds: returnTokenIds && !begun ? prompt.tokenIds : undefined,
    }
  }
}

/** One choice, and what of it was not given out yet. */
class Choice {
  readonly generated: number[] = []
  begun = false
  text = ''
  finish: FinishReason | undefined
  #scored: ScoredToken[] = []
  #tokenIds: number[] = []

  constructor(
    readonly index: number,
    readonly prompt: Prompt,
    readonly generation: Generation,
  ) {}

  add({ text, tokenIds, scored, finish }: Piece): void {
    this.text += text
    this.finish = finish
    this.generated.push(...tokenIds)
    this.#tokenIds.push(...tokenIds)
    this.#scored.push(...scored)
  }

  take() {
    const taken = { text: this.text, scored: this.#scored, tokenIds: this.#tokenIds, finish: this.finish }
    this.begun = true
    this.text = ''
    this.#scored = []
    this.#tokenIds = []
    return taken
  }
}
