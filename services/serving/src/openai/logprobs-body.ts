import type { Tokenizer } from '@plateau/model-files'
import type { ScoredToken } from '../scored-tokens.js'

/** OpenAI's shape for chats. `bytes` is null for tokens that stand for no text. */
export interface ChatLogProbs {
  readonly content: readonly (NamedLogProb & { readonly top_logprobs: readonly NamedLogProb[] })[]
  readonly refusal: null
}

export interface NamedLogProb {
  readonly token: string
  readonly logprob: number
  readonly bytes: readonly number[] | null
}

/** OpenAI's shape for completions: one entry of each list for each token. */
export interface CompletionLogProbs {
  readonly tokens: readonly string[]
  readonly token_logprobs: readonly number[]
  /** The most probable tokens and the emitted one, by their text. */
  readonly top_logprobs: readonly Readonly<Record<string, number>>[]
  /** Characters of the answer before each token. */
  readonly text_offset: readonly number[]
}

/** JSON has no minus infinity; OpenAI and vLLM write this. */
const LEAST = -9999

export function chatLogProbs(scored: readonly ScoredToken[], top: number, tokenizer: Tokenizer): ChatLogProbs {
  const content = scored.map(({ id, logprobs }) => ({
    ...named(id, logprobs.logProb, tokenizer),
    top_logprobs: logprobs.topIds.slice(0, top).map((topId, i) => named(topId, logprobs.topLogProbs[i]!, tokenizer)),
  }))
  return { content, refusal: null }
}

export function completionLogProbs(
  scored: readonly ScoredToken[],
  top: number,
  tokenizer: Tokenizer,
): CompletionLogProbs {
  const text = (id: number): string => textOf(id, tokenizer)
  return {
    tokens: scored.map(({ id }) => text(id)),
    token_logprobs: scored.map(({ logprobs }) => finite(logprobs.logProb)),
    top_logprobs: scored.map(({ id, logprobs }) => {
      const best = logprobs.topIds.slice(0, top).map((topId, i) => [text(topId), finite(logprobs.topLogProbs[i]!)])
      return Object.fromEntries([...best, [text(id), finite(logprobs.logProb)]]) as Record<string, number>
    }),
    text_offset: scored.map(({ offset }) => offset),
  }
}

function named(id: number, logProb: number, tokenizer: Tokenizer): NamedLogProb {
  const bytes = tokenizer.bytesOf(id)
  return { token: textOf(id, tokenizer), logprob: finite(logProb), bytes: bytes === undefined ? null : [...bytes] }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A token's text; "bytes:\xf0\x9f" for a part of a character, as OpenAI's; the name of a special token. */
function textOf(id: number, tokenizer: Tokenizer): string {
  const bytes = tokenizer.bytesOf(id)
  if (bytes === undefined) return tokenizer.nameOf(id)
  try {
    return utf8.decode(bytes)
  } catch {
    return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`
  }
}

function finite(logProb: number): number {
  return Math.max(logProb, LEAST)
}
