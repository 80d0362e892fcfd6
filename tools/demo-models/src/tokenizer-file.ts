import { BytePairEncoder } from './tokenizer-encoder.js'
import type { BytePairVocabulary } from './tokenizer-training.js'
import { preTokenPattern } from './tokenizer-words.js'

/** Ends every document; begins and ends every sequence. */
export const endOfText = '<|endoftext|>'

interface TokenizerFile {
  readonly added_tokens: readonly { readonly id: number; readonly content: string }[]
  readonly model: {
    readonly vocab: Readonly<Record<string, number>>
    readonly merges: readonly (readonly [string, string])[]
  }
}

/** Hugging Face tokenizer.json of a byte-level vocabulary. */
export function tokenizerJson({ specialTokens, tokens, merges }: BytePairVocabulary): string {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false }
  const file = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: preTokenPattern }, behavior: 'Isolated', invert: false },
        byteLevel,
      ],
    },
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  }
  return `${JSON.stringify(file)}\n`
}

/** Hugging Face tokenizer_config.json for the same vocabulary. */
export function tokenizerConfigJson(maxTokens: number): string {
  const config = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: endOfText,
    eos_token: endOfText,
    add_prefix_space: false,
    clean_up_tokenization_spaces: false,
    model_max_length: maxTokens,
  }
  return `${JSON.stringify(config, null, 2)}\n`
}

/** The encoder of a tokenizer.json that tokenizerJson wrote. */
export function encoderOf(json: string): BytePairEncoder {
  const file = JSON.parse(json) as TokenizerFile
  const special = file.added_tokens.map(({ content }) => content)
  return new BytePairEncoder(new Map(Object.entries(file.model.vocab)), file.model.merges, special)
}
