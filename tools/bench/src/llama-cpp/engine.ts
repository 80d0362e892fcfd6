import type { Llama, LlamaContext, LlamaModel, LlamaSequence, NodeLlamaCpp } from './api.js'
import { prepareNodeLlamaCpp } from './prepare.js'

export interface SequencesOptions {
  readonly count: number
  /** Tokens that each can hold. */
  readonly contextTokens: number
  /** Guess the next tokens from the prompt: node-llama-cpp's own speculation that needs no second model. */
  readonly promptLookup?: boolean
}

/** llama.cpp through node-llama-cpp, in this process. */
export class LlamaCppEngine {
  readonly #module: NodeLlamaCpp
  readonly #llama: Llama
  readonly #model: LlamaModel
  readonly #threads: number

  private constructor(module: NodeLlamaCpp, llama: Llama, model: LlamaModel, threads: number) {
    this.#module = module
    this.#llama = llama
    this.#model = model
    this.#threads = threads
  }

  /** @param gguf the model's file */
  static async open(gguf: string, threads: number): Promise<LlamaCppEngine> {
    const module = await prepareNodeLlamaCpp()
    const llama = await module.getLlama({
      gpu: false,
      build: 'never',
      skipDownload: true,
      maxThreads: threads,
      logLevel: module.LlamaLogLevel.error,
    })
    return new LlamaCppEngine(module, llama, await llama.loadModel({ modelPath: gguf }), threads)
  }

  /** Sequences whose tokens form one batch where they are asked for at the same time. */
  async openSequences({ count, contextTokens, promptLookup = false }: SequencesOptions): Promise<LlamaCppSequences> {
    const context = await this.#model.createContext({
      sequences: count,
      contextSize: contextTokens,
      batchSize: 512,
      threads: { ideal: this.#threads, min: this.#threads },
    })
    const { InputLookupTokenPredictor } = this.#module
    const sequences = Array.from({ length: count }, () =>
      context.getSequence(promptLookup ? { tokenPredictor: new InputLookupTokenPredictor() } : {}),
    )
    return new LlamaCppSequences(context, sequences)
  }

  close(): Promise<void> {
    return this.#llama.dispose()
  }
}

export class LlamaCppSequences {
  constructor(
    private readonly context: LlamaContext,
    private readonly sequences: readonly LlamaSequence[],
  ) {}

  /**
   * One response to each prompt, all at once. `begin` resolves when each has its first token; `tokens(n)` brings n more of
   * each, the model's end tokens included.
   */
  begin(prompts: readonly (readonly number[])[], sampling: { readonly temperature: number; readonly seed: number }) {
    const responses = prompts.map((prompt, i) =>
      this.sequences[i]!.evaluate(prompt, { ...sampling, yieldEogToken: true }),
    )
    const tokens = (count: number) =>
      Promise.all(
        responses.map(async (response) => {
          for (let i = 0; i < count; i++) if ((await response.next()).done === true) return
        }),
      )
    const end = async (): Promise<void> => {
      await Promise.all(responses.map((response) => response.return()))
      await Promise.all(this.sequences.map((sequence) => sequence.clearHistory()))
    }
    return { first: () => tokens(1), tokens, end }
  }

  /** One response, which ends where the model ends it, on a sequence that has nothing else to do. */
  one(prompt: readonly number[], sampling: { readonly temperature: number; readonly seed: number }, sequence = 0) {
    return this.sequences[sequence]!.evaluate(prompt, {
      temperature: sampling.temperature,
      seed: sampling.seed,
      yieldEogToken: false,
    })
  }

  /** Forgets what a sequence answered last: the next response begins with its prompt. */
  clear(sequence: number): Promise<void> {
    return this.sequences[sequence]!.clearHistory()
  }

  close(): Promise<void> {
    return this.context.dispose()
  }
}
