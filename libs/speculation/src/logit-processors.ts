/**
 * What a request does to logits before temperature, top_k and top_p. For the logit z of a token at one position:
 *
 *     z1 = z + bias
 *     z2 = z1 / r where z1 > 0, else z1 * r        tokens of the prompt or of the response; r: repetition penalty
 *     z' = z2 - frequency * n - presence * [n > 0]  n: how often the response holds the token
 *
 * "Response" is everything emitted, and, where a proposal is verified or drawn, the proposed tokens before the position:
 * p and q of a later position must count what would have been emitted by then.
 */
export interface LogitProcessing {
  readonly presencePenalty: number
  readonly frequencyPenalty: number
  /** 0 means 1, none. */
  readonly repetitionPenalty: number
  /** By token id. */
  readonly logitBias: Readonly<Record<number, number>>
}

/** Undefined where the settings leave every logit as it is. */
export function logitProcessors(
  settings: LogitProcessing,
  promptTokens: readonly number[],
): LogitProcessors | undefined {
  const processors = new LogitProcessors(settings, promptTokens)
  return processors.isNeutral ? undefined : processors
}

/** The processors of one response, which it is told about by `record`. */
export class LogitProcessors {
  readonly #bias = new Map<number, number>()
  readonly #presence: number
  readonly #frequency: number
  readonly #repetition: number
  /** Of the prompt, where that counts. */
  readonly #prompted: ReadonlySet<number>
  /** How often the response holds a token. */
  readonly #counts = new Map<number, number>()
  /** Tokens whose logits change wherever the response goes on. */
  readonly #touched: Set<number>
  #list: readonly number[] | undefined

  constructor(settings: LogitProcessing, promptTokens: readonly number[]) {
    // Single precision, as the settings cross the wire: both ends count with the same numbers.
    this.#presence = Math.fround(settings.presencePenalty)
    this.#frequency = Math.fround(settings.frequencyPenalty)
    this.#repetition = Math.fround(settings.repetitionPenalty) || 1
    for (const [id, bias] of Object.entries(settings.logitBias)) {
      if (bias !== 0) this.#bias.set(Number(id), Math.fround(bias))
    }
    this.#prompted = new Set(this.#repetition === 1 ? [] : promptTokens)
    this.#touched = new Set([...this.#bias.keys(), ...this.#prompted])
  }

  get isNeutral(): boolean {
    return this.#bias.size === 0 && !this.#penalises
  }

  /** The logit of a token after the emitted tokens and `ahead`. */
  adjust(id: number, logit: number, ahead: readonly number[]): number {
    let count = this.#counts.get(id) ?? 0
    for (const token of ahead) if (token === id) count++
    let adjusted = logit + (this.#bias.get(id) ?? 0)
    if (count > 0 || this.#prompted.has(id)) {
      adjusted = adjusted > 0 ? adjusted / this.#repetition : adjusted * this.#repetition
    }
    return count === 0 ? adjusted : adjusted - this.#frequency * count - this.#presence
  }

  /** The tokens whose logits may change after the emitted tokens and `ahead`; no id twice. */
  affected(ahead: readonly number[]): readonly number[] {
    this.#list ??= [...this.#touched]
    if (!this.#penalises || ahead.every((id) => this.#touched.has(id))) return this.#list
    return [...new Set([...this.#list, ...ahead])]
  }

  /** All logits of a position, in double precision. */
  apply(logits: ArrayLike<number>, ahead: readonly number[]): Float64Array {
    const adjusted = new Float64Array(logits)
    for (const id of this.affected(ahead)) adjusted[id] = this.adjust(id, adjusted[id]!, ahead)
    return adjusted
  }

  /** The response has emitted these. */
  record(tokens: readonly number[]): void {
    for (const id of tokens) {
      this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1)
      if (!this.#penalises || this.#touched.has(id)) continue
      this.#touched.add(id)
      this.#list = undefined
    }
  }

  get #penalises(): boolean {
    return this.#presence !== 0 || this.#frequency !== 0 || this.#repetition !== 1
  }
}
