import type { CausalLmConfig, WeightSource } from '@plateau/causal-lm'
import type { JsonObject } from './json-object.js'

/** A model whose headers were read and checked, whatever its files are. Whoever opened it closes it. */
export interface OpenedModel {
  readonly modelId: string
  readonly format: ModelFormat
  readonly config: CausalLmConfig
  readonly weights: WeightSource
  readonly storedTensors: readonly StoredTensor[]
  readonly chatTemplate: string | undefined
  tokenizerFiles(): Promise<TokenizerFiles>
  /** Reads the weight files whole. */
  fingerprint(): Promise<string>
  close(): Promise<void>
}

export type ModelFormat = 'safetensors' | 'gguf'

/** One of the model's weights as it lies in a file. */
export interface StoredTensor {
  readonly name: string
  /** The file's word for it: BF16, Q4_K. */
  readonly type: string
  readonly elements: number
  readonly bytes: number
  /** Norms and biases are not: they are always kept as 32-bit floats. */
  readonly isMatrix: boolean
}

/** What a tokenizer is made from, in Hugging Face's formats. */
export interface TokenizerFiles {
  /** Names the source in errors. */
  readonly path: string
  /** tokenizer.json, byte for byte. */
  readonly json: Uint8Array
  /** tokenizer_config.json; empty where there is none. */
  readonly config: JsonObject
}
