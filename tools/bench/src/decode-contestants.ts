/** Who decodes in `bench decode`: each answers the same prompts with the same number of tokens, all prompts at once. */
import type { WeightFormat } from '@plateau/causal-lm'
import { CausalLmDecoder, type RunReport, type Sequence } from '@plateau/inference'
import { openModel } from '@plateau/model-files'
import { cacheFolder } from './cache-folder.js'
import type { LlamaCppEngine } from './llama-cpp/engine.js'
import { runBatchedBench } from './llama-cpp/native.js'
import type { RealModel } from './real-model.js'

export interface DecodeRequest {
  readonly prompts: readonly (readonly number[])[]
  /** Of each response. */
  readonly tokens: number
}

export interface Contestant {
  readonly name: string
  /** Tokens a second of all responses together, from each one's first token on: prompts are not counted. */
  decode(request: DecodeRequest): Promise<number>
}

export const contextTokens = 512

export interface OwnOptions {
  readonly threads: number
  readonly weightFormat: WeightFormat
  readonly maxSequences: number
}

/** CausalLmDecoder as target-model runs it: int8 weights unless told otherwise, every token scored. */
export class OwnDecoder implements Contestant {
  readonly name = 'plateau'
  /** One per run of the engine while `decode` counts. */
  readonly runs: RunReport[] = []
  #isCounting = false
  #decoder: CausalLmDecoder | undefined

  static async open({ path, description }: RealModel, options: OwnOptions): Promise<OwnDecoder> {
    const model = await openModel(path)
    const own = new OwnDecoder()
    try {
      own.#decoder = await CausalLmDecoder.load(description.config, model.weights, {
        name: description.modelId,
        ...options,
        maxContext: contextTokens,
        // Each response is computed: nothing of an earlier round is found.
        prefixBytes: 1,
        modelCache: { directory: cacheFolder('built'), fingerprint: description.fingerprint },
        onRun: (report) => own.#isCounting && own.runs.push(report),
      })
    } finally {
      await model.close()
    }
    return own
  }

  get weightBytes(): number {
    return this.#decoder!.weightBytes
  }

  async decode({ prompts, tokens }: DecodeRequest): Promise<number> {
    const sequences = prompts.map(() => this.#decoder!.open())
    try {
      const first = await Promise.all(sequences.map((sequence, i) => greedyStep(sequence, prompts[i]!)))
      this.#isCounting = true
      const startMs = performance.now()
      await Promise.all(sequences.map((sequence, i) => continueGreedily(sequence, first[i]!, tokens)))
      return (prompts.length * tokens * 1000) / (performance.now() - startMs)
    } finally {
      this.#isCounting = false
      for (const sequence of sequences) sequence.close()
    }
  }

  async release(): Promise<void> {
    await this.#decoder?.release()
  }
}

async function continueGreedily(sequence: Sequence, first: number, tokens: number): Promise<void> {
  let token = first
  for (let i = 0; i < tokens; i++) token = await greedyStep(sequence, [token])
}

async function greedyStep(sequence: Sequence, tokens: readonly number[]): Promise<number> {
  return (await sequence.step(tokens)).topIds[0]!
}

export function nodeLlamaCpp(engine: LlamaCppEngine): Contestant {
  return {
    name: 'node-llama-cpp',
    decode: async ({ prompts, tokens }) => {
      const sequences = await engine.openSequences({ count: prompts.length, contextTokens })
      try {
        const responses = sequences.begin(prompts, { temperature: 0, seed: 1 })
        await responses.first()
        const startMs = performance.now()
        await responses.tokens(tokens)
        const elapsedMs = performance.now() - startMs
        await responses.end()
        return (prompts.length * tokens * 1000) / elapsedMs
      } finally {
        await sequences.close()
      }
    },
  }
}

/** A native build's own benchmark on the same file; its prompts are of equal length, the longest of ours. */
export function nativeLlamaCpp(program: string, gguf: string, threads: number): Contestant {
  return {
    name: 'llama.cpp',
    decode: ({ prompts, tokens }) => {
      const promptTokens = Math.max(...prompts.map((prompt) => prompt.length))
      return runBatchedBench(program, { gguf, threads, batch: prompts.length, promptTokens, tokens })
    },
  }
}
