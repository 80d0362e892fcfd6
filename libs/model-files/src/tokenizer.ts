import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers'
import { messageOf, PlateauError } from '@plateau/contracts'
import type { SpecialTokens } from './chat-template.js'
import { readGgufTokenizer } from './gguf/open-gguf.js'
import { readTokenizerFiles } from './hugging-face.js'
import { IncrementalDecoder } from './incremental-decoder.js'
import { isJsonObject, type JsonObject, parseJsonObject } from './json-object.js'
import { locateModel } from './model-location.js'
import { type DecodingRules, tokenBytes } from './token-bytes.js'

/** A model's tokenizer. Immutable; safe to share between requests. */
export interface Tokenizer {
  /**
   * Special tokens written out in the text are taken as such. Adds a first token where the model's own does, unless
   * `addSpecialTokens` is false: a rendered chat has it already.
   */
  encode(text: string, options?: { readonly addSpecialTokens?: boolean }): number[]
  /** Leaves special tokens out. Throws RangeError for an id outside the vocabulary. */
  decode(ids: Iterable<number>): string
  /** One for each stream of tokens. */
  decoder(): IncrementalDecoder
  /** The very bytes that a token stands for; undefined for a special token, which stands for no text. */
  bytesOf(id: number): Uint8Array | undefined
  /** As the vocabulary spells it, "Ġthe" or "<|endoftext|>"; '' for an id that the vocabulary leaves out. */
  nameOf(id: number): string
  /** Ids are below this. A model's own vocabulary may be padded and so be larger. */
  readonly vocabSize: number
  /** From tokenizer_config.json's eos_token. The model's config.json may name more. */
  readonly eosTokenIds: readonly number[]
  /** For renderChat. */
  readonly specialTokens: SpecialTokens
}

/** The tokenizer of a Hugging Face directory, a GGUF file, or a directory with exactly one. */
export async function loadTokenizer(path: string): Promise<Tokenizer> {
  const location = await locateModel(path)
  const files =
    location.kind === 'gguf' ? await readGgufTokenizer(location.file) : await readTokenizerFiles(location.directory)
  const json = parseJsonObject(Buffer.from(files.json).toString('utf8'), files.path, 'TOKENIZER_INVALID')
  try {
    return createTokenizer(json, files.config, files.path)
  } catch (cause) {
    if (cause instanceof PlateauError) throw cause
    throw invalid(files.path, messageOf(cause), cause)
  }
}

function createTokenizer(file: JsonObject, config: JsonObject, path: string): Tokenizer {
  const tokenizer = new HuggingFaceTokenizer(withUnicodeDigits(file), config)
  const rules = decodingRules(file, path)
  const tokens = tokenBytes(rules, path)
  const names = tokenNames(rules)
  const decode = (ids: Iterable<number>): string => {
    const decoder = new IncrementalDecoder(tokens)
    let text = ''
    for (const id of ids) text += decoder.push(id)
    return text + decoder.flush()
  }
  const eosToken = tokenText(config['eos_token'])
  return {
    encode: (text, { addSpecialTokens = true } = {}) =>
      tokenizer.encode(text, { add_special_tokens: addSpecialTokens }).ids,
    decode,
    decoder: () => new IncrementalDecoder(tokens),
    bytesOf: (id) => (tokens.bytes[id]?.length ? tokens.bytes[id] : undefined),
    nameOf: (id) => names[id] ?? '',
    vocabSize: tokens.bytes.length,
    eosTokenIds: eosToken === undefined ? [] : [tokenizer.token_to_id(eosToken)].filter((id) => id !== undefined),
    specialTokens: { bosToken: tokenText(config['bos_token']), eosToken },
  }
}

/** A token in tokenizer_config.json is text, or an object that holds it as content. */
function tokenText(token: unknown): string | undefined {
  const content = isJsonObject(token) ? token['content'] : token
  return typeof content === 'string' ? content : undefined
}

/** The library cuts at ASCII digits only, where the reference implementation cuts at every kind of number. */
function withUnicodeDigits(file: JsonObject): JsonObject {
  return { ...file, pre_tokenizer: splitDigits(file['pre_tokenizer']) }
}

function splitDigits(step: unknown): unknown {
  if (!isJsonObject(step)) return step
  if (Array.isArray(step['pretokenizers'])) return { ...step, pretokenizers: step['pretokenizers'].map(splitDigits) }
  if (step['type'] !== 'Digits') return step
  const pattern = { Regex: step['individual_digits'] === true ? String.raw`\p{N}` : String.raw`\p{N}+` }
  return { type: 'Split', pattern, behavior: 'Isolated', invert: false }
}

function decodingRules(file: JsonObject, path: string): DecodingRules {
  const { model, added_tokens: added, decoder } = file
  const vocab = isJsonObject(model) ? model['vocab'] : undefined
  if (!isJsonObject(vocab)) throw invalid(path, 'its model has no vocabulary by token')
  return {
    vocab: new Map(Object.entries(vocab as Readonly<Record<string, number>>)),
    added: (added ?? []) as DecodingRules['added'],
    decoder,
  }
}

function tokenNames({ vocab, added }: DecodingRules): string[] {
  const names: string[] = []
  for (const [token, id] of vocab) names[id] = token
  for (const { id, content } of added) names[id] = content
  return names
}

function invalid(file: string, problem: string, cause?: unknown): PlateauError {
  return new PlateauError('TOKENIZER_INVALID', `cannot use ${file}: ${problem}`, { facts: { file }, cause })
}
