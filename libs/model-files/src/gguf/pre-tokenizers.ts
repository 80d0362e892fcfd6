import type { JsonObject } from '../json-object.js'

/** How a byte-level tokenizer cuts text before it merges: the parts of tokenizer.json that GGUF only has a name for. */
export interface ByteLevelRules {
  readonly normalizer?: JsonObject
  readonly split: readonly JsonObject[]
  /** The byte-level step cuts by GPT-2's own pattern. */
  readonly bytesSplit: boolean
  /** A word that is a token is taken whole. */
  readonly ignoreMerges: boolean
  /** Where the file does not say. */
  readonly addBos: boolean
}

/** The patterns of Llama 3 and of Qwen 2 differ in how many digits are one word. */
const wordsWithDigits = (digits: string): string =>
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|${digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

/** Mistral's, from Nemo on. */
const tekken = String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`

const isolated = (pattern: string): readonly JsonObject[] => [
  { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
]

const gpt2: ByteLevelRules = { split: [], bytesSplit: true, ignoreMerges: false, addBos: false }
const smollm: ByteLevelRules = { ...gpt2, split: isolated(String.raw`\p{N}`) }
const llama3: ByteLevelRules = {
  split: isolated(wordsWithDigits(String.raw`\p{N}{1,3}`)),
  bytesSplit: false,
  ignoreMerges: true,
  addBos: true,
}
const qwen2: ByteLevelRules = {
  normalizer: { type: 'NFC' },
  split: isolated(wordsWithDigits(String.raw`\p{N}`)),
  bytesSplit: false,
  ignoreMerges: false,
  addBos: false,
}
const mistralNemo: ByteLevelRules = { split: isolated(tekken), bytesSplit: false, ignoreMerges: true, addBos: true }

/** By tokenizer.ggml.pre. */
export const preTokenizers: ReadonlyMap<string, ByteLevelRules> = new Map([
  ['default', gpt2],
  ['gpt-2', gpt2],
  ['smollm', smollm],
  ['llama-bpe', llama3],
  ['llama3', llama3],
  ['llama-v3', llama3],
  ['qwen2', qwen2],
  ['deepseek-r1-qwen', qwen2],
  ['tekken', mistralNemo],
])
