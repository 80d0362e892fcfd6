import { PlateauError } from '@plateau/contracts'

/** How ids become text: each stands for some bytes, whatever tokens are around it. */
export interface TokenBytes {
  /** Bytes by id. Special tokens stand for no bytes; so do ids that the vocabulary leaves out. */
  readonly bytes: readonly Uint8Array[]
  /** The text's first blank is an artefact of the encoding. */
  readonly stripFirstBlank: boolean
}

/** The parts of a tokenizer.json that say how to decode. */
export interface DecodingRules {
  readonly vocab: ReadonlyMap<string, number>
  readonly added: readonly { readonly id: number; readonly content: string; readonly special: boolean }[]
  readonly decoder: unknown
}

/**
 * Two kinds of decoders are known: byte-level (GPT-2, Llama 3, SmolLM, Qwen), where a token spells bytes in a shifted
 * alphabet, and SentencePiece's with byte fallback (Llama 2, TinyLlama), where it spells text with U+2581 for a blank.
 */
export function tokenBytes({ vocab, added, decoder }: DecodingRules, file: string): TokenBytes {
  const kinds = decoderKinds(decoder)
  const isByteLevel = kinds.includes('ByteLevel')
  if (!isByteLevel && !kinds.includes('ByteFallback')) {
    throw new PlateauError(
      'TOKENIZER_UNSUPPORTED',
      `${file} has the decoder ${kinds.join(' + ') || 'none'}; supported are ByteLevel and SentencePiece's ByteFallback`,
      { facts: { file } },
    )
  }
  const spell = isByteLevel ? fromByteLevel : fromSentencePiece
  const bytes: Uint8Array[] = []
  for (const [token, id] of vocab) bytes[id] = spell(token)
  for (const { id, content, special } of added) bytes[id] = special ? empty : Buffer.from(content)
  return { bytes: Array.from(bytes, (known) => known ?? empty), stripFirstBlank: kinds.includes('Strip') }
}

const empty = new Uint8Array(0)

/** The types of a decoder and of those inside it. */
function decoderKinds(decoder: unknown): string[] {
  if (typeof decoder !== 'object' || decoder === null) return []
  const { type, decoders } = decoder as { type?: unknown; decoders?: unknown }
  return Array.isArray(decoders) ? decoders.flatMap(decoderKinds) : [String(type)]
}

/** GPT-2's alphabet: printable Latin-1 for itself, the other bytes from U+0100 on, in their order. */
const byteOfSymbol = new Map<string, number>()
for (let byte = 0, next = 256; byte < 256; byte++) {
  const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
  byteOfSymbol.set(String.fromCodePoint(printable ? byte : next++), byte)
}

function fromByteLevel(token: string): Uint8Array {
  const bytes = Array.from(token, (symbol) => byteOfSymbol.get(symbol))
  // Some vocabularies hold plain text beside the alphabet, added by hand.
  return bytes.every((byte) => byte !== undefined) ? Uint8Array.from(bytes) : Buffer.from(token)
}

function fromSentencePiece(token: string): Uint8Array {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(token)?.[1]
  return byte === undefined ? Buffer.from(token.replaceAll('\u2581', ' ')) : Uint8Array.of(Number.parseInt(byte, 16))
}
