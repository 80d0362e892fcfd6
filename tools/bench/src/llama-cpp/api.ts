/** What we use of node-llama-cpp 3, which is no dependency and so brings no types. */
export interface NodeLlamaCpp {
  getLlama(options: object): Promise<Llama>
  readonly LlamaLogLevel: { readonly error: unknown }
  readonly InputLookupTokenPredictor: new () => object
}

export interface Llama {
  loadModel(options: { readonly modelPath: string }): Promise<LlamaModel>
  dispose(): Promise<void>
}

export interface LlamaModel {
  createContext(options: {
    readonly sequences: number
    /** Of each sequence. */
    readonly contextSize: number
    readonly batchSize: number
    readonly threads: { readonly ideal: number; readonly min: number }
  }): Promise<LlamaContext>
}

export interface LlamaContext {
  getSequence(options: { readonly tokenPredictor?: object }): LlamaSequence
  dispose(): Promise<void>
}

export interface LlamaSequence {
  evaluate(
    tokens: readonly number[],
    options: { readonly temperature: number; readonly seed: number; readonly yieldEogToken: boolean },
  ): AsyncGenerator<number, void, void>
  clearHistory(): Promise<void>
}
