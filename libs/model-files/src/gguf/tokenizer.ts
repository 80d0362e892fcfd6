/**
 * The tokenizer that a GGUF file carries, as the tokenizer.json that Hugging Face would have for it: tokens, merges or
 * scores, kinds of tokens and the name of the pre-tokenizer are in the file; the rest follows from those names.
 */
import { PlateauError } from '@plateau/contracts'
import type { JsonObject } from '../json-object.js'
import type { TokenizerFiles } from '../opened-model.js'
import type { GgufValue } from './header.js'
import { type ByteLevelRules, preTokenizers } from './pre-tokenizers.js'
import { mergesByScore } from './sentence-piece.js'

type Metadata = ReadonlyMap<string, GgufValue>

/** tokenizer.ggml.token_type */
const kinds = { unknown: 2, control: 3, userDefined: 4 } as const

/** Throws TOKENIZER_INVALID, or TOKENIZER_UNSUPPORTED naming the model or the pre-tokenizer. The same file gives the same bytes. */
export function ggufTokenizer(metadata: Metadata, file: string): TokenizerFiles {
  const parts = readParts(metadata, file)
  const tokenizer = parts.model === 'gpt2' ? byteLevel(parts) : sentencePiece(parts)
  const config: JsonObject = {
    ...(parts.bos === undefined ? {} : { bos_token: parts.bos }),
    ...(parts.eos === undefined ? {} : { eos_token: parts.eos }),
  }
  return { path: file, json: Buffer.from(JSON.stringify(tokenizer)), config }
}

interface Parts {
  readonly file: string
  readonly model: 'gpt2' | 'llama'
  readonly pre: string
  readonly tokens: readonly string[]
  readonly types: readonly number[]
  readonly scores: readonly number[]
  readonly merges: readonly string[]
  readonly bos: string | undefined
  readonly eos: string | undefined
  readonly unknown: string | undefined
  readonly addBos: boolean | undefined
  readonly addEos: boolean
  readonly addSpacePrefix: boolean
}

function readParts(metadata: Metadata, file: string): Parts {
  const get = (name: string): GgufValue | undefined => metadata.get(`tokenizer.ggml.${name}`)
  const list = <T extends string | number>(name: string, type: 'string' | 'number'): readonly T[] => {
    const values = get(name) ?? []
    if (Array.isArray(values) && values.every((value): value is T => typeof value === type)) return values
    throw invalid(file, `tokenizer.ggml.${name} is not a list of ${type}s`)
  }
  const tokens = list<string>('tokens', 'string')
  const model = get('model')
  if (model === undefined || tokens.length === 0) throw invalid(file, 'it carries no tokenizer')
  if (model !== 'gpt2' && model !== 'llama') {
    throw unsupported(file, `tokenizer.ggml.model "${String(model)}" is not supported, only "gpt2" and "llama"`)
  }
  const token = (name: string): string | undefined => tokens[Number(get(`${name}_token_id`) ?? -1)]
  const flag = (name: string): boolean | undefined => {
    const value = get(name)
    return typeof value === 'boolean' ? value : undefined
  }
  const pre = get('pre')
  return {
    file,
    model,
    pre: typeof pre === 'string' ? pre : 'default',
    tokens: unique(tokens, file),
    types: sameLength(list<number>('token_type', 'number'), tokens, 'token_type', file),
    scores: sameLength(list<number>('scores', 'number'), tokens, 'scores', file),
    merges: list<string>('merges', 'string'),
    bos: token('bos'),
    eos: token('eos'),
    unknown: token('unknown'),
    addBos: flag('add_bos_token'),
    addEos: flag('add_eos_token') ?? false,
    addSpacePrefix: flag('add_space_prefix') ?? true,
  }
}

function byteLevel(parts: Parts): JsonObject {
  const rules = preTokenizers.get(parts.pre)
  if (rules === undefined) {
    const known = [...preTokenizers.keys()].join(', ')
    throw unsupported(parts.file, `tokenizer.ggml.pre "${parts.pre}" is not supported, only ${known}`)
  }
  if (parts.merges.length === 0) throw invalid(parts.file, 'it has no tokenizer.ggml.merges')
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true }
  return {
    ...common(parts),
    normalizer: rules.normalizer ?? null,
    pre_tokenizer: preTokenizer(rules),
    post_processor: ends(parts, parts.addBos ?? rules.addBos, { ...bytes, trim_offsets: false, use_regex: true }),
    decoder: { ...bytes, use_regex: true },
    model: { ...bpe(parts), ignore_merges: rules.ignoreMerges, merges: parts.merges },
  }
}

function preTokenizer({ split, bytesSplit }: ByteLevelRules): JsonObject {
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: bytesSplit }
  return { type: 'Sequence', pretokenizers: [...split, bytes] }
}

/** Llama 2's: pieces merged by their scores, U+2581 for a blank, bytes where no piece fits. */
function sentencePiece(parts: Parts): JsonObject {
  if (parts.scores.length === 0) throw invalid(parts.file, 'it has no tokenizer.ggml.scores')
  const blank = '\u2581'
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: blank }
  const prefix = parts.addSpacePrefix
  return {
    ...common(parts),
    normalizer: { type: 'Sequence', normalizers: [...(prefix ? [{ type: 'Prepend', prepend: blank }] : []), replace] },
    pre_tokenizer: null,
    post_processor: ends(parts, parts.addBos ?? true),
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: blank }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      ...bpe(parts),
      unk_token: parts.unknown ?? '<unk>',
      fuse_unk: true,
      byte_fallback: true,
      merges: mergesByScore(parts.tokens, parts.scores),
    },
  }
}

function common({ tokens, types, model }: Parts): JsonObject {
  const special = (type: number | undefined): boolean =>
    type === kinds.control || (type === kinds.unknown && model === 'llama')
  const added = tokens.flatMap((content, id) =>
    special(types[id]) || types[id] === kinds.userDefined
      ? [
          {
            id,
            content,
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: special(types[id]),
          },
        ]
      : [],
  )
  return { version: '1.0', truncation: null, padding: null, added_tokens: added }
}

function bpe({ tokens }: Parts): JsonObject {
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]))
  return { type: 'BPE', dropout: null, unk_token: null, fuse_unk: false, byte_fallback: false, vocab }
}

/** Adds the first and last token where the model's own tokenizer does. */
function ends({ bos, eos, addEos, tokens, file }: Parts, addBos: boolean, always?: JsonObject): JsonObject | null {
  if (addBos && bos === undefined) throw invalid(file, 'it adds a first token that it does not name')
  const first = addBos ? bos : undefined
  const last = addEos ? eos : undefined
  const used = [first, last].filter((token) => token !== undefined)
  const special = (id: string): JsonObject => ({ SpecialToken: { id, type_id: 0 } })
  const template = {
    type: 'TemplateProcessing',
    single: [
      ...(first ? [special(first)] : []),
      { Sequence: { id: 'A', type_id: 0 } },
      ...(last ? [special(last)] : []),
    ],
    pair: [],
    special_tokens: Object.fromEntries(
      used.map((token) => [token, { id: token, ids: [tokens.indexOf(token)], tokens: [token] }]),
    ),
  }
  if (used.length === 0) return always ?? null
  return always === undefined ? template : { type: 'Sequence', processors: [always, template] }
}

function unique(tokens: readonly string[], file: string): readonly string[] {
  const known = new Map<string, number>()
  for (const [id, token] of tokens.entries()) {
    const before = known.get(token)
    if (before !== undefined) throw invalid(file, `tokens ${before} and ${id} are the same`)
    known.set(token, id)
  }
  return tokens
}

function sameLength<T>(values: readonly T[], tokens: readonly string[], name: string, file: string): readonly T[] {
  if (values.length === 0 || values.length === tokens.length) return values
  throw invalid(file, `tokenizer.ggml.${name} has ${values.length} entries for ${tokens.length} tokens`)
}

function invalid(file: string, problem: string): PlateauError {
  return new PlateauError('TOKENIZER_INVALID', `cannot use the tokenizer in ${file}: ${problem}`, { facts: { file } })
}

function unsupported(file: string, problem: string): PlateauError {
  return new PlateauError('TOKENIZER_UNSUPPORTED', `cannot use the tokenizer in ${file}: ${problem}`, {
    facts: { file },
  })
}
